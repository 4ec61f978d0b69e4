"""What decoding bytes from outside can raise."""

from __future__ import annotations

import msgspec

UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
"""msgspec's errors for bytes that are not what was expected, text that is no UTF-8, and nesting without end."""

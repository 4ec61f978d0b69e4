"""A broken promise."""

from __future__ import annotations


class Violation(AssertionError):
    """A promise was broken. The text says which, where and how."""

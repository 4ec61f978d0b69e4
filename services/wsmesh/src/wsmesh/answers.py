"""What an HTTP answer that is not a success says."""

from __future__ import annotations

import msgspec

from wsmesh.contract import ErrorAnswer, ErrorBody

LONGEST_TEXT = 200


def error_of(status: int, raw: bytes) -> ErrorBody:
    """The error in an answer; one that is not wsmesh's (HAProxy's page, a wrong URL) becomes `http_<status>`."""
    try:
        return msgspec.json.decode(raw, type=ErrorAnswer).error
    except (msgspec.DecodeError, UnicodeError):
        text = raw.decode(errors="replace").strip()
        shown = "" if text.startswith("<") else " ".join(text.split())[:LONGEST_TEXT]
        return ErrorBody(code=f"http_{status}", message=shown or f"the answer was HTTP {status} without an explanation")

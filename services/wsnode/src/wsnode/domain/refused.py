"""A request to the publish API that is not granted."""

from __future__ import annotations


class Refused(Exception):
    """What was wrong and what to do; `status` is that of the HTTP answer, `code` a word for programs."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field

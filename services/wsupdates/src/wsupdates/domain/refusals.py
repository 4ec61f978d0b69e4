"""What the registry says no to."""

from __future__ import annotations


class Refusal(Exception):
    """A request that is answered with an error; nothing else happened.

    `status` is the HTTP status, `code` a fixed word for programs, the message says what was wrong and what to do,
    `field` names the part of the request.
    """

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field

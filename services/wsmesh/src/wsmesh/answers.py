"""What an HTTP answer that is not a success says, and why there was none."""

from __future__ import annotations

import os

import aiohttp
import msgspec

from wsmesh.contract import ErrorAnswer, ErrorBody
from wsmesh.decoding import UNREADABLE

LONGEST_TEXT = 200


def error_of(status: int, raw: bytes) -> ErrorBody:
    """The error in an answer; one that is not wsmesh's (HAProxy's page, a wrong URL) becomes `http_<status>`."""
    try:
        return msgspec.json.decode(raw, type=ErrorAnswer).error
    except UNREADABLE:
        text = raw.decode(errors="replace").strip()
        shown = "" if text.startswith("<") else " ".join(text.split())[:LONGEST_TEXT]
        return ErrorBody(code=f"http_{status}", message=shown or f"the answer was HTTP {status} without an explanation")


def why_none(problem: Exception) -> str:
    """Why aiohttp got no answer, in a few words."""
    if isinstance(problem, aiohttp.ClientConnectorCertificateError):
        return f"the certificate is not trusted: {problem.certificate_error}"
    if isinstance(problem, aiohttp.ClientConnectorError):
        problem = problem.os_error
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, OSError) and problem.errno is not None and problem.errno > 0:
        return os.strerror(problem.errno).lower()
    return str(problem) or type(problem).__name__

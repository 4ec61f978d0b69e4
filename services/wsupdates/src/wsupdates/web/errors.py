"""Every error in one shape, and nothing of the inside to the caller."""

from __future__ import annotations

import secrets
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import MethodNotAllowed, NotFound, PayloadTooLarge, SanicException

from wsmesh import logs
from wsmesh.contract import error_answer
from wsupdates.domain.refusals import Refusal
from wsupdates.usecases.store import StoreUnavailable

log = logs.get("web")

RETRY_SECONDS = "1"


def install(app: Sanic[Any, Any], max_body_bytes: int) -> None:
    """Answer every exception of the app in the error shape."""

    async def refusal(_: Request, problem: Refusal) -> HTTPResponse:
        headers = {}
        if problem.status == 401:
            headers["www-authenticate"] = "Bearer"
        if problem.status == 429:
            headers["retry-after"] = RETRY_SECONDS
        return error(problem.status, problem.code, problem.message, problem.field, headers)

    async def unavailable(_: Request, problem: StoreUnavailable) -> HTTPResponse:
        log.error("database_unavailable", problem=str(problem))
        text = "the registry's database does not answer; nothing was changed, try again"
        return error(503, "database", text, None, {"retry-after": RETRY_SECONDS})

    async def not_found(request: Request, _: NotFound) -> HTTPResponse:
        return error(404, "not_found", f"there is no {request.path} here; see /docs")

    async def not_allowed(request: Request, problem: MethodNotAllowed) -> HTTPResponse:
        text = f"{request.path} does not take {request.method}; see /docs"
        return error(405, "method_not_allowed", text, None, {str(k): str(v) for k, v in problem.headers.items()})

    async def too_large(_: Request, __: PayloadTooLarge) -> HTTPResponse:
        return error(413, "too_large", f"the body may have {max_body_bytes} bytes (MAX_BODY_BYTES)")

    async def other(_: Request, problem: Exception) -> HTTPResponse:
        if isinstance(problem, SanicException) and 400 <= problem.status_code < 500:
            return error(problem.status_code, "bad_request", "this is no request that the registry understands")
        number = secrets.token_hex(6)
        log.error("internal_error", id=number, exc_info=problem)
        return error(500, "internal", f"the registry failed; its log has the reason under id {number}")

    handlers = ((Refusal, refusal), (StoreUnavailable, unavailable), (NotFound, not_found))
    more = ((MethodNotAllowed, not_allowed), (PayloadTooLarge, too_large), (Exception, other))
    for kind, handler in (*handlers, *more):
        app.error_handler.add(kind, handler)


def error(
    status: int, code: str, message: str, field: str | None = None, headers: dict[str, str] | None = None
) -> HTTPResponse:
    """An answer in the error shape."""
    return HTTPResponse(error_answer(code, message, field), status, headers or {}, "application/json")

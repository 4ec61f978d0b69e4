"""Every error that a listener answers has the contract's form, and never a traceback."""

from __future__ import annotations

import secrets
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import SanicException

from wsmesh import logs
from wsmesh.contract import error_answer

log = logs.get("web")

CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    426: "upgrade_required",
    503: "busy",
}


def install_error_answers(app: Sanic[Any, Any]) -> None:
    """Answer Sanic's own errors (404, 405, 413 …) and our bugs (500) in the contract's form."""

    @app.exception(Exception)
    async def answer(_: Request[Any, Any], problem: Exception) -> HTTPResponse:
        if isinstance(problem, SanicException) and problem.status_code < 500:
            status = problem.status_code
            body = error_answer(CODES.get(status, "refused"), str(problem) or CODES.get(status, "refused"))
            return HTTPResponse(body, status, headers=problem.headers, content_type="application/json")
        incident = secrets.token_hex(4)
        log.error("internal_error", incident=incident, exc_info=problem)
        body = error_answer("internal", f"an error of the server; its log has the details under incident={incident}")
        return HTTPResponse(body, 500, content_type="application/json")

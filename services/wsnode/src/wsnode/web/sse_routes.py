"""`GET /apps/{key}/events`: the same channels for those who cannot use a WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from sanic import HTTPResponse, Request, Sanic

from wsmesh.contract import App, error_answer
from wsnode.domain.admission import admit_to_app, origin_allowed
from wsnode.domain.close_codes import Close
from wsnode.domain.frames import refusal
from wsnode.domain.refused import Refused
from wsnode.domain.sse import CONTENT_TYPE, message
from wsnode.domain.sse_request import Asked, asked, refused
from wsnode.web.clients import Clients
from wsnode.web.sse import RETRY_LATER, SseConnection, comes_back, head
from wsnode.web.take_over import feed, take_over

MAX_HEAD_BYTES = 16_384
"""Largest head of a request, since a position may be long; set it as Sanic's REQUEST_MAX_HEADER_SIZE."""

PREFLIGHT_SECONDS = 600


def add_sse_routes(app: Sanic[Any, Any], clients: Clients, *, signature_seconds: int, now: Callable[[], float]) -> None:
    """Serve it; `now` in seconds since the epoch."""

    async def listen(request: Request, app_id: str) -> HTTPResponse | None:
        origin = request.headers.get("origin")
        admitted: App | Close | None = None
        try:
            if (busy := clients.busy()) is not None:
                clients.refused[busy.code] += 1
                return _later(busy, origin)
            admitted = admit_to_app(clients.hub, app_id, origin)
            if isinstance(admitted, Close):
                clients.refused[admitted.code] += 1
                raise refused(admitted)
            query = dict(parse_qsl(request.query_string, keep_blank_values=True))
            last_event_id = request.headers.get("last-event-id")
            wanted = asked(admitted, request.path, query, last_event_id, now(), signature_seconds)
        except Refused as problem:
            body = error_answer(problem.code, problem.message, problem.field)
            headers = _cors(admitted if isinstance(admitted, App) else None, origin)
            return HTTPResponse(body, problem.status, headers=headers, content_type="application/json")
        _open(request, clients, admitted, wanted, _cors(admitted, origin))
        return None

    async def preflight(request: Request, app_id: str) -> HTTPResponse:
        """A page that sets the header itself asks first."""
        found, origin = clients.hub.directory.by_key(app_id), request.headers.get("origin")
        headers = _cors(found, origin)
        if found is not None and origin_allowed(found.allowed_origins, origin):
            headers["Access-Control-Allow-Methods"] = "GET"
            headers["Access-Control-Allow-Headers"] = "Last-Event-ID, Cache-Control"
            headers["Access-Control-Max-Age"] = str(PREFLIGHT_SECONDS)
        return HTTPResponse(b"", 204, headers=headers)

    # Sanic wants no response of a handler that is marked so.
    listen.is_websocket = True  # type: ignore[attr-defined]
    app.add_route(listen, "/apps/<app_id:str>/events", methods=["GET"], name="listen", unquote=True)
    app.add_route(preflight, "/apps/<app_id:str>/events", methods=["OPTIONS"], name="preflight", unquote=True)


def _open(request: Request, clients: Clients, app: App, wanted: Asked, headers: dict[str, str]) -> None:
    connection = SseConnection(clients)
    take_over(request, connection)
    session = clients.enter(app)
    listening = clients.hub.listen(session, app, wanted.channels, clients.now(), wanted.position)
    established = session.established(clients.sse_seconds)
    connection.open(session, established, wanted.position, listening, head(headers))
    clients.after_change()
    feed(request, connection)


def _later(busy: Close, origin: str | None) -> HTTPResponse:
    """Turn a client away for a moment. It must be a success: after any other answer a browser does not come back."""
    body = comes_back(RETRY_LATER) + message(refusal(busy))
    return HTTPResponse(body, headers=_cors(None, origin), content_type=CONTENT_TYPE)


def _cors(app: App | None, origin: str | None) -> dict[str, str]:
    """What lets a page of another origin read the answer; without an app it is an error that anybody may read."""
    if origin is None:
        return {}
    if app is None or not app.allowed_origins:
        return {"Access-Control-Allow-Origin": "*"}
    if not origin_allowed(app.allowed_origins, origin):
        return {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

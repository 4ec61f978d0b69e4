"""The route that clients connect to: checks the handshake, then takes the transport away from Sanic."""

from __future__ import annotations

from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import NotFound
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.http11 import Request as Handshake

from wsmesh.contract import error_answer
from wsnode.domain import close_codes
from wsnode.web.clients import Clients
from wsnode.web.connection import Connection, server_protocol
from wsnode.web.take_over import feed, take_over

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def add_client_routes(app: Sanic[Any, Any], clients: Clients) -> None:
    """Serve `/app/{key}`, and answer every path that nothing else serves."""

    async def connect(request: Request, key: str) -> HTTPResponse | None:
        connection = _handshake(request, clients)
        if isinstance(connection, HTTPResponse):
            return connection
        clients.arrived(connection, key, request.args.get("protocol"), request.headers.get("origin"))
        feed(request, connection)
        return None

    async def nothing_here(request: Request, **_: str) -> HTTPResponse | None:
        if request.headers.get("upgrade", "").lower() != "websocket":
            raise NotFound(f"there is nothing at {request.path}")
        connection = _handshake(request, clients)
        if isinstance(connection, HTTPResponse):
            return connection
        clients.refuse(connection, close_codes.UNKNOWN_PATH)
        feed(request, connection)
        return None

    # Sanic wants no response of a handler that is marked so.
    connect.is_websocket = nothing_here.is_websocket = True  # type: ignore[attr-defined]
    app.add_route(connect, "/app/<key:str>", methods=["GET"], name="connect", unquote=True)
    app.add_route(nothing_here, "/<path:path>", methods=METHODS, name="nothing_here")
    app.add_route(nothing_here, "/", methods=METHODS, name="nothing_here_either")


def _handshake(request: Request, clients: Clients) -> Connection | HTTPResponse:
    """Answer 101 and put a connection on the transport, or the answer to a request that is no proper handshake."""
    ws = server_protocol(clients.max_frame_bytes)
    try:
        # A header may hold any bytes, and most do not concern us; `websockets` takes them as Latin-1, Sanic as UTF-8.
        headers = Headers(
            (name, value.encode(errors="surrogateescape").decode("latin-1")) for name, value in request.headers.items()
        )
    except InvalidHeader as problem:
        return _no_handshake(400, f"the header {problem.name} holds control characters")
    answer = ws.accept(Handshake(request.path, headers))
    if answer.status_code != 101:
        text = answer.body.decode().strip() if answer.body else "not a WebSocket handshake"
        return _no_handshake(answer.status_code, text.splitlines()[0])
    connection = Connection(clients, ws)
    transport: Any = request.transport
    transport.write(answer.serialize())
    take_over(request, connection)
    return connection


def _no_handshake(status: int, text: str) -> HTTPResponse:
    response = HTTPResponse(error_answer("websocket_handshake", text), status, content_type="application/json")
    if status == 426:
        response.headers["upgrade"] = "websocket"
    return response

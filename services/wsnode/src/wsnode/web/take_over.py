"""Takes a transport away from Sanic: no task and no request is kept for an idle client."""

from __future__ import annotations

import asyncio
from typing import Any

from sanic import Request


def take_over(request: Request, connection: asyncio.Protocol) -> None:
    """Put a protocol of ours on the transport of a request. The handler must be marked as one of a WebSocket."""
    stream: Any = request.stream
    stream.upgrade_websocket = True  # whatever it is in truth: Sanic expects no answer then
    transport: Any = request.transport
    protocol: Any = transport.get_protocol()
    transport.set_protocol(connection)
    connection.connection_made(transport)
    # Sanic's protocol has no transport any more: whatever it does at the end of its task, it leaves the socket alone.
    protocol.connections.discard(protocol)
    protocol.transport = None


def feed(request: Request, connection: asyncio.Protocol) -> None:
    """Hand over what the client sent with its request, then let it send more."""
    stream: Any = request.stream
    transport: Any = request.transport
    if stream.recv_buffer:
        connection.data_received(bytes(stream.recv_buffer))
    transport.resume_reading()

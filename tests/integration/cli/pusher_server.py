"""A small WebSocket server that speaks the Pusher protocol as a test's script says."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve


class Conversation:
    """One client's connection, seen from the server."""

    def __init__(self, socket: ServerConnection, path: str) -> None:
        self.socket = socket
        self.path = path

    async def say(self, event: str, data: Any = None, **more: str) -> None:
        """Send a frame; its data is encoded twice."""
        await self.socket.send(json.dumps({"event": event, "data": json.dumps(data), **more}))

    async def hear(self) -> dict[str, Any]:
        """The next frame of the client."""
        found: dict[str, Any] = json.loads(await self.socket.recv())
        return found

    async def take(self, channels: int = 1) -> list[dict[str, Any]]:
        """Take the connection and the subscriptions; gives what the subscribes said."""
        await self.say("pusher:connection_established", {"socket_id": "1.2", "activity_timeout": 30})
        asked = [(await self.hear())["data"] for _ in range(channels)]
        for data in asked:
            await self.say("pusher_internal:subscription_succeeded", {}, channel=data["channel"])
        return asked

    async def close(self, code: int, reason: str = "") -> None:
        """Close the connection."""
        await self.socket.close(code, reason)


Act = Callable[[Conversation], Awaitable[None]]


@dataclass
class Server:
    """Where the server is, and when each client came."""

    url: str
    arrivals: list[float] = field(default_factory=list)


@asynccontextmanager
async def pusher_server(*acts: Act, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Serve; the first connection gets the first act, and so on; the last act is for all further ones."""
    clock = asyncio.get_running_loop().time
    found = Server("")

    async def serve_one(socket: ServerConnection) -> None:
        assert socket.request is not None
        act = acts[min(len(found.arrivals), len(acts) - 1)]
        found.arrivals.append(clock())
        await act(Conversation(socket, socket.request.path))

    async with serve(serve_one, "127.0.0.1", 0, ssl=tls, close_timeout=1) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        found.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
        yield found

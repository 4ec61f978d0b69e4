"""A receiver of webhooks that behaves as a test wants it to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pusher  # type: ignore[import-untyped]
from aiohttp import web

from tests.support.waiting import until


@dataclass
class Delivery:
    """One request that came."""

    path: str
    key: str
    signature: str
    content_type: str
    raw: bytes

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of the body."""
        found: list[dict[str, Any]] = json.loads(self.raw)["events"]
        return found


@dataclass
class Receiver:
    """`answers` says by path what is done with a request: a status, or a coroutine function for anything else."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Note a request and answer it."""
        head = request.headers
        delivery = Delivery(
            request.path,
            head.get("X-Pusher-Key", ""),
            head.get("X-Pusher-Signature", ""),
            head.get("Content-Type", ""),
            await request.read(),
        )
        self.deliveries.append(delivery)
        answer = self.answers.get(request.path, 200)
        if callable(answer):
            made: web.StreamResponse = await answer(request)
            return made
        return web.Response(status=answer)

    def at(self, path: str) -> list[Delivery]:
        """What came at a path."""
        return [delivery for delivery in self.deliveries if delivery.path == path]

    def events(self, path: str) -> list[dict[str, Any]]:
        """All events that came at a path and were answered with success, in order."""
        return [event for delivery in self.at(path) for event in delivery.events]

    async def until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait for something to come."""
        await until(condition, seconds)


@asynccontextmanager
async def receiving(ssl: Any = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port of loopback."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl)
    await site.start()
    receiver.url = f"{'https' if ssl else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that says the same bytes to everybody and hangs up: its URL, and what it was sent."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        # All of it: a connection that is closed with something unread is reset, and the answer may be lost.
        heard.append(head + await reader.readexactly(length))
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


def validated(delivery: Delivery, key: str, secret: str) -> Any:
    """What Pusher's own Python library makes of a request; None when it is not signed as it must be."""
    library = pusher.Pusher(app_id="1", key=key, secret=secret)
    return library.validate_webhook(delivery.key, delivery.signature, delivery.raw.decode())

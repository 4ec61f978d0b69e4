"""Clients of server-sent events at a node's client port."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from sanic import Sanic

from tests.support.sse import Reader, Sent
from tests.unit.wsnode_clients.serving import Node, serve
from wsmesh.contract import App
from wsnode.web.clients import Clients
from wsnode.web.sse_routes import MAX_HEAD_BYTES, add_sse_routes

NOW = 1_800_000_000.0
MAX_AGE = 900


def serve_sse(*apps: App, now: Callable[[], float] = lambda: NOW, **options: Any) -> AbstractAsyncContextManager[Node]:
    """A node that serves event streams; `now` is the time of day for signatures."""

    def routes(app: Sanic[Any, Any], clients: Clients) -> None:
        app.config.REQUEST_MAX_HEADER_SIZE = MAX_HEAD_BYTES
        add_sse_routes(app, clients, signature_seconds=MAX_AGE, now=now)

    return serve(*apps, routes=routes, **options)


class Answer:
    """An answer to a request: the head, and the stream that may follow."""

    def __init__(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, last: str) -> None:
        first, *lines = head.decode().rstrip().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self.writer = writer
        self.socket = reader
        self.left = int(self.headers.get("content-length", sys.maxsize))
        self.stream = Reader(self.read, last)

    async def read(self) -> bytes:
        """More of the body; nothing at its end."""
        data = await self.socket.read(min(self.left, 65_536)) if self.left else b""
        self.left -= len(data)
        return data

    async def next(self) -> Sent:
        """The next event of the stream."""
        return await self.stream.next()

    async def data(self, number: int) -> list[str]:
        """The data of the next events, which must be of the application."""
        messages = [(await self.next()).message for _ in range(number)]
        assert all(not message["event"].startswith("pusher") for message in messages), messages
        return [message["data"] for message in messages]

    async def body(self) -> Any:
        """The JSON of an answer that is no stream."""
        async with asyncio.timeout(30):
            return json.loads(await self.socket.readexactly(int(self.headers["content-length"])))

    async def error(self) -> tuple[int, Any]:
        """Status and body of a refusal."""
        body = await self.body()
        assert set(body) == {"error"}
        return self.status, body["error"]


@asynccontextmanager
async def request(
    node: Node, path: str, *, last: str = "", method: str = "GET", **headers: str
) -> AsyncIterator[Answer]:
    """Ask the node for a path."""
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if last:
        lines.append(f"Last-Event-ID: {last}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(30):
            head = await reader.readuntil(b"\r\n\r\n")
        yield Answer(head, reader, writer, last)
    finally:
        writer.close()


def path(*channels: str, **query: object) -> str:
    """The path of a stream."""
    return f"/apps/key/events?{urlencode({'channels': ','.join(channels)} | query)}"


@asynccontextmanager
async def listening(node: Node, *channels: str, last: str = "") -> AsyncIterator[tuple[Answer, list[Sent]]]:
    """Listen to channels; the answer, and what it says of each channel, in their order."""
    async with request(node, path(*channels), last=last) as answer:
        assert answer.status == 200, await answer.body()
        first = await answer.next()
        assert first.message["event"] == "pusher:connection_established"
        said = [await answer.next() for _ in channels]
        assert [it.message["event"] for it in said] == ["pusher_internal:subscription_succeeded"] * len(channels)
        assert [it.message["channel"] for it in said] == list(channels)
        yield answer, said


def recovered(said: list[Sent]) -> list[bool]:
    """What the answers say, channel by channel."""
    return [json.loads(it.message["data"])["recovered"] for it in said]

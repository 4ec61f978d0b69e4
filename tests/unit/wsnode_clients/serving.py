"""A node's client port on a free port of loopback, alone in its cluster."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sanic import Sanic
from websockets.asyncio.client import ClientConnection, connect

from wsmesh.contract import App, AppLimits
from wsmesh.serving import Listener, bind
from wsnode.domain.directory import Directory
from wsnode.domain.history import History
from wsnode.domain.hub import Hub
from wsnode.domain.messages import Event, Message, Payload
from wsnode.settings import NodeSettings
from wsnode.web.client_protocol import add_client_routes
from wsnode.web.clients import Clients
from wsnode.web.errors import install_error_answers

STREAM = "n1~abc"
APP = App(id="shop", key="key", secret="secret")
_names = itertools.count()


def settings(**changed: Any) -> NodeSettings:
    """Settings of a node `n1`."""
    given = {
        "node_id": "n1",
        "cluster_key": "c" * 24,
        "ws_updates_url": "http://127.0.0.1:1",
        "ws_updates_key": "k" * 24,
    }
    return NodeSettings.model_validate(given | changed)


@dataclass
class Node:
    """A running client port, and the stream of its own."""

    clients: Clients
    port: int
    scheme: str = "ws"
    seq: int = 0
    published: list[Payload] = field(default_factory=list)
    position: dict[str, int] = field(default_factory=dict)
    """What has come of other nodes' streams."""
    floors: dict[str, int] = field(default_factory=dict)

    def publish(self, payload: Payload) -> str:
        """Append to the own stream, and deliver."""
        self.seq += 1
        self.published.append(payload)
        self.clients.deliver(STREAM, Message(self.seq, payload))
        return f"{STREAM}:{self.seq}"

    def arrive(self, stream: str, payload: Payload) -> None:
        """Take the next message of another node's stream."""
        self.position[stream] = self.position.get(stream, 0) + 1
        self.clients.deliver(stream, Message(self.position[stream], payload))

    def event(self, channel: str, data: str = "{}", name: str = "news", **more: Any) -> str:
        """Publish an event to one channel of the app."""
        return self.publish(Event(app=APP.id, channels=[channel], name=name, data=data, **more))

    def url(self, path: str = "/app/key?protocol=7") -> str:
        """The URL of a client."""
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    @asynccontextmanager
    async def client(self, path: str = "/app/key?protocol=7", **options: Any) -> AsyncIterator[Client]:
        """A client that was let in."""
        async with connect(self.url(path), compression=None, ping_interval=None, **options) as ws:
            yield await Client.established(ws)


@dataclass
class Client:
    """A client over `websockets`, with its socket id."""

    ws: ClientConnection
    socket_id: str

    @classmethod
    async def established(cls, ws: ClientConnection) -> Client:
        """Read the first frame."""
        first = msgspec.json.decode(await ws.recv())
        assert first["event"] == "pusher:connection_established", first
        return cls(ws, msgspec.json.decode(first["data"])["socket_id"])

    async def say(self, event: str, data: object = None) -> None:
        """Send an event."""
        await self.ws.send(msgspec.json.encode({"event": event, "data": data}).decode())

    async def hear(self) -> Any:
        """The next message, as JSON."""
        return msgspec.json.decode(await asyncio.wait_for(self.ws.recv(), 5))

    async def subscribe(self, channel: str, **more: Any) -> None:
        """Subscribe to a channel, and see it succeed."""
        await self.say("pusher:subscribe", {"channel": channel, **more})
        assert (await self.hear())["event"] == "pusher_internal:subscription_succeeded"


@asynccontextmanager
async def serve(
    *apps: App,
    routes: Callable[[Sanic[Any, Any], Clients], None] | None = None,
    tls: ssl.SSLContext | None = None,
    now: Callable[[], float] = time.monotonic,
    **changed: Any,
) -> AsyncIterator[Node]:
    """Serve clients of `apps` (of APP by default) until the end of the block."""
    hub = Hub(
        STREAM,
        Directory(apps or (APP,)),
        History(300, 100_000_000),
        position=lambda: node.position | {STREAM: node.seq},
        floors=lambda: node.floors,
        time_of_day=time.time,
    )
    clients = Clients(hub, settings(**changed), announce=lambda payload: node.publish(payload), now=now)
    clients.ready = True
    app: Sanic[Any, Any] = Sanic(f"clients-{next(_names)}", configure_logging=False)
    app.config.update(TOUCHUP=False, AUTO_EXTEND=False)
    install_error_answers(app)
    add_client_routes(app, clients)
    if routes is not None:
        routes(app, clients)
    sock = bind("127.0.0.1", 0, "PORT")
    node = Node(clients, sock.getsockname()[1], "wss" if tls else "ws")
    listener = Listener(app, sock, tls=tls)
    await listener.start()
    try:
        yield node
    finally:
        await clients.close_all()
        await listener.stop(1.0)
        Sanic.unregister_app(app)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds, at most five seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the state of the node under test has no event to wait for
            await asyncio.sleep(0.001)


__all__ = ["APP", "AppLimits", "Client", "Node", "serve", "settings", "until"]

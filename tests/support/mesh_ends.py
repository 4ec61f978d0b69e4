"""Mesh services on free ports of loopback, talking to each other over real HTTP."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp
import msgspec
from sanic import Sanic
from yarl import URL

from wsmesh.serving import Listener, bind
from wsnode.adapters.mesh_client import CONTENT_TYPE, VERSION_HEADER, MeshClient
from wsnode.domain.effects import Deliver, Effect
from wsnode.domain.mesh import Member, Mesh, MeshLimits
from wsnode.domain.messages import WebhookDecided, stream_id
from wsnode.domain.webhooks import Share
from wsnode.domain.wire import Hello, Push, Snapshot
from wsnode.mesh_service import MeshService
from wsnode.web.mesh_routes import mesh_app

CLUSTER_KEY = "k" * 24
MAX_BODY = 100_000
_starts = itertools.count(int(time.time()))


@dataclass
class End:
    """One node's mesh: its service, its address, and what it delivered of other nodes' streams."""

    service: MeshService
    address: str
    client: MeshClient
    delivered: list[tuple[str, int]] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def act(self, effect: Effect) -> None:
        """Note an effect."""
        self.effects.append(effect)
        if isinstance(effect, Deliver) and effect.stream != self.service.mesh.stream:
            self.delivered += [(effect.stream, message.seq) for message in effect.messages]
        self._changed.set()

    async def until_delivered(self, number: int) -> None:
        """Wait until so many messages of others have been delivered."""
        async with asyncio.timeout(30):
            while len(self.delivered) < number:
                self._changed.clear()
                await self._changed.wait()

    def know(self, *others: End) -> None:
        """Make the others members."""
        self.service.set_members([Member(end.service.mesh.node, end.address) for end in others])

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Send a request by hand, the path as it stands; status and whole body of the answer, as plain values."""
        sent = {"Authorization": f"Bearer {CLUSTER_KEY}", VERSION_HEADER: "1"} | headers
        url = URL(f"{self.address}/mesh/v1/{path}", encoded=True)
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, data=body, headers=sent) as answer,
        ):
            raw = await answer.read()
        return answer.status, plain(raw) if answer.content_type == CONTENT_TYPE else msgspec.json.decode(raw)

    async def told(self, body: Hello | Push) -> tuple[int, Any]:
        """What it answers another node, see `ask`."""
        path = "hello" if isinstance(body, Hello) else "messages"
        return await self.ask("POST", path, msgspec.msgpack.encode(body))


def plain(answer: Any) -> Any:
    """An answer of the mesh, or its bytes, as plain values, so that all of it can be compared."""
    return msgspec.msgpack.decode(answer if isinstance(answer, bytes) else msgspec.msgpack.encode(answer))


def error(code: str, message: str) -> dict[str, Any]:
    """The whole body of an answer that refuses."""
    return {"error": {"code": code, "message": message, "field": None}}


@asynccontextmanager
async def mesh_end(
    name: str, *, key: str = CLUSTER_KEY, port: int = 0, timeout: float = 1.0, ack_timeout: float = 0.5, **limits: Any
) -> AsyncIterator[End]:
    """A node's mesh port, until the end of the block."""
    sock = bind("127.0.0.1", port, "MESH_PORT")
    address = f"http://127.0.0.1:{sock.getsockname()[1]}"
    stream = stream_id(name, next(_starts))
    mesh = Mesh(
        node=name,
        stream=stream,
        location="here",
        address=address,
        limits=MeshLimits(**limits),
        uniform=Random(1).uniform,
        snapshot=Snapshot,
    )
    client = MeshClient(cluster_key=key, timeout=timeout, tls=None)
    service = MeshService(
        mesh=mesh,
        sender=client,
        apply=lambda effect: end.act(effect),
        clock=asyncio.get_running_loop().time,
        time_of_day=time.time,
        default_acks=1,
        ack_timeout=ack_timeout,
    )
    end = End(service, address, client)
    app = mesh_app(
        service,
        cluster_key=key,
        channel_counts=lambda query: {query.prefix: 1},
        channel_users=lambda query: {query.prefix: ["ada", "bob"]},
        webhook_share=lambda query: Share(True, [WebhookDecided(query.among[0], "hook", [])], []),
        max_body=MAX_BODY,
        name=f"mesh-{stream.replace('~', '-')}",
    )
    listener = Listener(app, sock)
    await client.open()
    await listener.start()
    running = asyncio.create_task(service.run())
    try:
        yield end
    finally:
        running.cancel()
        await service.stop()
        await client.close()
        await listener.stop(1.0)
        Sanic.unregister_app(app)

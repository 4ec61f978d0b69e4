"""The publish API over real sockets, on a node whose peers are played by the test."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pusher  # type: ignore[import-untyped]
from sanic import Sanic

from tests.unit.wsnode_clients.serving import Node, serve
from wsmesh.contract import App, AppLimits, ChannelRule
from wsmesh.signature import request_signature
from wsnode.domain.messages import Payload
from wsnode.publishing import (
    ChannelCounts,
    ChannelQuery,
    ChannelUsers,
    InsufficientAcks,
    Published,
    Publishing,
    UserQuery,
)
from wsnode.web.clients import Clients
from wsnode.web.publish_api import MAX_BODY_BYTES, add_publish_routes

PUBLISH_KEY = "a-publish-key-of-the-shop"
BEARER = {"Authorization": f"Bearer {PUBLISH_KEY}"}
APP = App(
    id="1",
    key="key",
    secret="secret",
    publish_keys=["0" * 64, hashlib.sha256(PUBLISH_KEY.encode()).hexdigest()],
    rules=[ChannelRule(pattern="small-*", max_data_bytes=5), ChannelRule(pattern="big-*", max_data_bytes=20_000)],
)
OFF = App(id="2", key="off", secret="secret", enabled=False)
SLOW = App(id="3", key="slow", secret="secret", limits=AppLimits(publishes_per_second=2), publish_keys=APP.publish_keys)


class Mesh:
    """The mesh as publishing sees it: `peers` are the other nodes, with their subscribers; None does not answer."""

    def __init__(self) -> None:
        self.node: Node
        self.peers: dict[str, ChannelCounts | None] = {}
        self.acks: list[object] = []
        self.asked: list[ChannelQuery] = []
        self.users: dict[str, ChannelUsers] = {}
        """The presence channels of those peers that have some."""

    async def publish(self, payload: Payload, acks: object) -> Published:
        """Deliver here; every peer that answers holds the message at once."""
        return await self._held(self.node.publish(payload), acks)

    async def acknowledged(self, stream: str, seq: int, acks: object) -> Published:
        """Every peer that answers holds every message."""
        return await self._held(f"{stream}:{seq}", acks)

    async def _held(self, identity: str, acks: object) -> Published:
        self.acks.append(acks)
        await asyncio.sleep(0)
        held = [name for name, counts in self.peers.items() if counts is not None]
        wanted = len(self.peers) if acks == "all" else acks or 0
        if len(held) < int(wanted):  # type: ignore[call-overload]
            raise InsufficientAcks(identity, wanted, held)  # type: ignore[arg-type]
        return Published(identity, held)

    async def ask_peers(self, query: ChannelQuery) -> tuple[dict[str, ChannelCounts], list[str]]:
        """What the peers say."""
        self.asked.append(query)
        answers = {name: counts for name, counts in self.peers.items() if counts is not None}
        return answers, [name for name, counts in self.peers.items() if counts is None]

    async def ask_users(self, query: UserQuery) -> tuple[dict[str, ChannelUsers], list[str]]:
        """What the peers say of users."""
        self.asked.append(query)
        answers = {name: self.users.get(name, {}) for name, counts in self.peers.items() if counts is not None}
        return answers, [name for name, counts in self.peers.items() if counts is None]


class Api:
    """A running node, the mesh around it, and ways to call it."""

    def __init__(self, node: Node, mesh: Mesh, http: aiohttp.ClientSession) -> None:
        self.node = node
        self.mesh = mesh
        self.http = http
        self.base = f"http://127.0.0.1:{node.port}"

    async def call(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Call with the publish key, or with the headers given."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        async with self.http.request(
            method, self.base + path, data=data, headers=BEARER if headers is None else headers
        ) as r:
            return r.status, await r.json()

    async def signed(
        self, method: str, path: str, body: bytes = b"", *, secret: str = "secret", **changed: str | None
    ) -> tuple[int, Any]:
        """Call with a signature; parameters that are None are left out after signing."""
        query = {"auth_key": "key", "auth_timestamp": str(int(time.time())), "auth_version": "1.0"}
        query["body_md5"] = hashlib.md5(body).hexdigest()
        query |= {name: value for name, value in changed.items() if value is not None}
        query = {name: value for name, value in query.items() if name not in changed or changed[name] is not None}
        query["auth_signature"] = request_signature(secret, method, path, query)
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return await self.call(method, f"{path}?{text}", body, headers={})

    def library(self, **options: Any) -> pusher.Pusher:
        """The official server library."""
        given = {"app_id": "1", "key": "key", "secret": "secret", "host": "127.0.0.1", "port": self.node.port}
        return pusher.Pusher(**(given | {"ssl": False} | options))


@asynccontextmanager
async def api() -> AsyncIterator[Api]:
    mesh = Mesh()

    def routes(app: Sanic[Any, Any], clients: Clients) -> None:
        app.config.REQUEST_MAX_SIZE = MAX_BODY_BYTES
        add_publish_routes(app, Publishing(clients.hub, mesh, mesh, now=time.time))

    async with serve(APP, OFF, SLOW, routes=routes) as node, aiohttp.ClientSession() as http:
        mesh.node = node
        yield Api(node, mesh, http)


def failure(code: str, message: str, field: str | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "field": field}}


EVENT = json.dumps({"name": "n", "data": "d", "channel": "c"}).encode()

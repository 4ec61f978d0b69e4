"""What the publisher sends."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.support.ports import free_port
from wsmesh.client import Publisher, PublishRefused, SyncPublisher
from wsmesh.client.publisher import event_body, signed_query
from wsmesh.signature import SignatureError, verify_request


@dataclass
class Api:
    """A publish API that takes every event of who shows the key `k`, and notes each request."""

    url: str = ""
    headers: list[Mapping[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)


@asynccontextmanager
async def api() -> AsyncIterator[Api]:
    found = Api()

    async def publish(request: web.Request) -> web.Response:
        found.headers.append(request.headers)
        found.bodies.append(await request.json())
        if request.headers["Authorization"] != "Bearer k":
            return web.json_response({"error": {"code": "bad_publish_key", "message": "not a key"}}, status=401)
        return web.json_response({"id": f"n1~x:{len(found.headers)}", "acknowledged_by": []})

    app = web.Application()
    app.router.add_post("/apps/1/events", publish)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield found
    finally:
        await runner.cleanup()


async def test_the_idempotency_key_goes_as_given() -> None:
    """The header is there when a key was given, and as it was given: the node judges its form."""
    async with api() as node, Publisher(node.url, "1", publish_key="k") as publisher:
        for key in (None, "order-4711", "", "~" * 129):
            await publisher.publish(["a"], "e", "", idempotency_key=key)
    assert [headers.get("X-Idempotency-Key") for headers in node.headers] == [None, "order-4711", "", "~" * 129]


async def test_an_idempotency_key_with_a_line_break_is_not_sent() -> None:
    """Nobody can put a header of their own into the request."""
    async with api() as node, Publisher(node.url, "1", publish_key="k") as publisher:
        with pytest.raises(ValueError, match="header"):
            await publisher.publish(["a"], "e", "", idempotency_key="k\r\nX-Other: 1")
    assert node.headers == []


async def test_without_a_loop_the_same_is_sent() -> None:
    """A sync publisher sends what the async one does, from several threads too, and gives each its answer."""
    arguments: dict[str, Any] = {"acks": 1, "socket_id": "1.2", "idempotency_key": "key"}

    def work(url: str) -> list[dict[str, Any]]:
        with SyncPublisher(url, "1", publish_key="k") as publisher, ThreadPoolExecutor() as threads:
            return list(threads.map(lambda _: publisher.publish(["a"], "e", "x", **arguments), range(10)))

    async with api() as node:
        answers = await asyncio.to_thread(work, node.url)
        async with Publisher(node.url, "1", publish_key="k") as publisher:
            await publisher.publish(["a"], "e", "x", **arguments)
    assert sorted(int(answer["id"].rpartition(":")[2]) for answer in answers) == list(range(1, 11))
    assert node.bodies == [node.bodies[10]] * 11
    assert {headers["X-Idempotency-Key"] for headers in node.headers} == {"key"}


async def test_without_a_loop_errors_are_the_same() -> None:
    """What the cluster refuses, and a cluster that is not there, raise as in the async publisher."""

    def work(url: str) -> None:
        with SyncPublisher(url, "1", publish_key="other") as publisher:
            publisher.publish(["a"], "e", "")

    async with api() as node:
        with pytest.raises(PublishRefused) as caught:
            await asyncio.to_thread(work, node.url)
    assert (caught.value.status, caught.value.code) == (401, "bad_publish_key")
    with pytest.raises(aiohttp.ClientConnectorError):
        await asyncio.to_thread(work, f"http://127.0.0.1:{free_port()}")


def test_its_thread_ends_with_the_block() -> None:
    """A sync publisher leaves no thread behind, may be entered again, and says how it is used."""
    publisher = SyncPublisher("http://127.0.0.1", "1", publish_key="k")
    for _ in range(2):
        with publisher:
            assert "wsmesh-publisher" in {thread.name for thread in threading.enumerate()}
        assert "wsmesh-publisher" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(RuntimeError, match="with SyncPublisher"):
        publisher.publish(["a"], "e", "")


def test_the_body_has_what_was_given() -> None:
    """The body is that of the Pusher API; `acks` and `socket_id` are there when given."""
    assert json.loads(event_body(["a", "b"], "e", "ü")) == {"name": "e", "channels": ["a", "b"], "data": "ü"}
    more = json.loads(event_body(["a"], "e", "", acks="all", socket_id="1.2"))
    assert more == {"name": "e", "channels": ["a"], "data": "", "acks": "all", "socket_id": "1.2"}
    assert json.loads(event_body(["a"], "e", "", acks=0))["acks"] == 0


def test_the_signed_query_verifies() -> None:
    """A server that has the secret accepts the query for this body, and for no other."""
    query = signed_query("key", "secret", "/apps/1/events", b"body", 1000.9)
    verify_request("key", "secret", "POST", "/apps/1/events", query, b"body", 1000)
    with pytest.raises(SignatureError):
        verify_request("key", "secret", "POST", "/apps/1/events", query, b"other", 1000)


@pytest.mark.parametrize("publisher", [Publisher, SyncPublisher])
@pytest.mark.parametrize(("key", "secret"), [(None, None), ("k", None), (None, "s")])
def test_it_needs_something_to_show(publisher: Any, key: str | None, secret: str | None) -> None:
    """Without a publish key, or key and secret, there is no publisher."""
    with pytest.raises(ValueError, match="publish key"):
        publisher("http://127.0.0.1", "1", key=key, secret=secret)

"""What the publisher sends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from wsmesh.client import Publisher
from wsmesh.client.publisher import event_body, signed_query
from wsmesh.signature import SignatureError, verify_request


@dataclass
class Api:
    """A publish API that takes everything, and notes the headers of each request."""

    url: str = ""
    headers: list[Mapping[str, str]] = field(default_factory=list)


@asynccontextmanager
async def api() -> AsyncIterator[Api]:
    found = Api()

    async def publish(request: web.Request) -> web.Response:
        found.headers.append(request.headers)
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


@pytest.mark.parametrize(("key", "secret"), [(None, None), ("k", None), (None, "s")])
def test_it_needs_something_to_show(key: str | None, secret: str | None) -> None:
    """Without a publish key, or key and secret, there is no publisher."""
    with pytest.raises(ValueError, match="publish key"):
        Publisher("http://127.0.0.1", "1", key=key, secret=secret)

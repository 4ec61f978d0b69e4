"""The mesh over real HTTP: messages cross, and failures are told."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.mesh_ends import CLUSTER_KEY, End, mesh_end
from tests.support.mesh_network import event
from tests.support.waiting import until
from wsnode.adapters.mesh_client import MeshClient, PeerFailed
from wsnode.domain.effects import PeerChanged
from wsnode.domain.messages import WebhookDecided
from wsnode.domain.webhooks import Share, ShareQuery
from wsnode.domain.wire import Push
from wsnode.publishing import ChannelQuery, InsufficientAcks, UserQuery


async def met(*ends: End) -> None:
    """Let all know each other, and wait until they do."""
    for end in ends:
        end.know(*ends)
    await until(lambda: all(len(end.service.mesh.up()) == len(ends) - 1 for end in ends))


async def test_messages_cross_and_are_acknowledged() -> None:
    """A publish is answered with the event id and the nodes that hold it, and reaches the others in order."""
    async with mesh_end("a", ack_timeout=30) as a, mesh_end("b") as b, mesh_end("c") as c:
        await met(a, b, c)
        first = await a.service.publish(event("1"), "all")
        assert first.id == f"{a.service.mesh.stream}:1"
        assert sorted(first.acknowledged_by) == ["b", "c"]
        await asyncio.gather(*(a.service.publish(event(str(number)), 1) for number in range(100)))
        await b.until_delivered(101)
        await c.until_delivered(101)
        expected = [(a.service.mesh.stream, seq) for seq in range(1, 102)]
        assert b.delivered == c.delivered == expected


async def test_without_a_peer_a_publish_is_answered_at_once() -> None:
    """The default of one acknowledgement asks for none while no other node is up."""
    async with mesh_end("a") as a:
        assert (await a.service.publish(event("x"), None)).acknowledged_by == []


async def test_too_few_acknowledgements_in_time() -> None:
    """More acknowledgements than there are nodes raise InsufficientAcks with the event id and the holders."""
    async with mesh_end("a") as a, mesh_end("b") as b:
        await met(a, b)
        with pytest.raises(InsufficientAcks) as caught:
            await a.service.publish(event("x"), 2)
        assert (caught.value.id, caught.value.acknowledged_by) == (f"{a.service.mesh.stream}:1", ["b"])
        await b.until_delivered(1)


async def test_a_node_that_restarts_on_its_address_is_greeted_again() -> None:
    """A peer that comes back as a new run gets what is published from then on."""
    async with mesh_end("a") as a:
        async with mesh_end("b") as b:
            await met(a, b)
            port = int(b.address.rpartition(":")[2])
        async with mesh_end("b", port=port) as again:
            again.know(a)
            await until(lambda: a.service.mesh.peers["b"].stream == again.service.mesh.stream)
            await a.service.publish(event("x"), 1)
            await again.until_delivered(1)


async def test_a_silent_peer_is_suspect_and_told_once() -> None:
    """A peer that answers no more is reported as suspect once, however often it is tried."""
    async with mesh_end("a", heartbeat=0.1) as a:
        async with mesh_end("b") as b:
            await met(a, b)
        await until(lambda: a.service.mesh.peers["b"].retries >= 4)
        changes = [effect.state for effect in a.effects if isinstance(effect, PeerChanged)]
        assert changes == ["up", "suspect"]


async def test_farewell_removes_the_peer() -> None:
    """After a goodbye the others do not count the node as a peer."""
    async with mesh_end("a") as a, mesh_end("b") as b:
        await met(a, b)
        await b.service.farewell()
        assert a.service.mesh.peers == {}


async def test_peers_count_their_channels() -> None:
    """A node answers how many subscribers its channels have."""
    async with mesh_end("a") as a, mesh_end("b") as b:
        assert await a.client.channel_counts(b.address, ChannelQuery(app="x", prefix="news")) == {"news": 1}


async def test_peers_name_their_users() -> None:
    """A node answers who is present in its presence channels."""
    async with mesh_end("a") as a, mesh_end("b") as b:
        query = UserQuery(app="x", prefix="presence-")
        assert await a.client.channel_users(b.address, query) == {"presence-": ["ada", "bob"]}


async def test_peers_share_what_webhooks_are_told() -> None:
    """A node answers one that begins with what it knows of webhooks."""
    async with mesh_end("a") as a, mesh_end("b") as b:
        share = await a.client.webhook_share(b.address, ShareQuery(["b"]))
        assert share == Share(True, [WebhookDecided("b", "hook", [])], [])


async def test_a_push_before_hello_asks_for_a_hello() -> None:
    """A push of an unknown stream gets 409 `hello_first`, which the sender understands."""
    async with mesh_end("a") as a:
        with pytest.raises(PeerFailed) as caught:
            await a.client.send(a.address, Push("z~1", 1, 0, [], {}, {}))
        assert caught.value.greet
        assert str(caught.value) == "status 409: this run does not know the stream z~1; say hello first"


async def test_a_second_process_with_the_same_node_id_is_told() -> None:
    """A hello of the node's own id gets 409 that names the setting."""
    async with mesh_end("a") as a, mesh_end("a") as other:
        with pytest.raises(PeerFailed, match=r"status 409: this is that node, .* see NODE_ID"):
            await other.client.send(a.address, other.service.mesh._hello())


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"\x07", "it gave an answer of another form: Expected `object`, got `int`"),
        (200, b"", "it gave an answer of another form: Input data was truncated"),
        (
            200,
            b"\x81\xa6stream\xa1\xff",
            "it gave an answer of another form: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (
            200,
            b"\x81\xa4more" + b"\x91" * 90_000,
            "it gave an answer of another form: maximum recursion depth exceeded while deserializing an object",
        ),
        (503, b'{"error": {"code": "\xff"', "status 503"),
        (503, b"<html>", "status 503"),
    ],
    ids=range(6),
)
async def test_an_answer_that_no_node_gives_is_a_failure(status: int, body: bytes, said: str) -> None:
    """Whatever a peer answers, the request ends, with a reason."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    client = MeshClient(cluster_key=CLUSTER_KEY, timeout=30, tls=None)
    async with TestServer(app) as server:
        await client.open()
        try:
            with pytest.raises(PeerFailed) as caught:
                await client.send(str(server.make_url("")).rstrip("/"), Push("a~1", 1, 0, [], {}, {}))
        finally:
            await client.close()
    assert str(caught.value) == said
    assert not caught.value.greet


async def test_a_peer_that_does_not_answer_in_time() -> None:
    """A peer that takes the connection and says nothing is a failure after the timeout."""
    silent = socket.create_server(("127.0.0.1", 0))  # nobody accepts: the kernel alone takes the connection
    address = f"http://127.0.0.1:{silent.getsockname()[1]}"
    client = MeshClient(cluster_key=CLUSTER_KEY, timeout=0.2, tls=None)
    await client.open()
    try:
        with pytest.raises(PeerFailed, match=r"no answer within 0\.2 s"):
            await client.send(address, Push("a~1", 1, 0, [], {}, {}))
    finally:
        await client.close()
        silent.close()

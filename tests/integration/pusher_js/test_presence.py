"""Presence channels with the official pusher-js at two nodes; the official `pusher` signs and asks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable
from typing import Any, Protocol
from urllib.parse import urlsplit

import pusher  # type: ignore[import-untyped]
import pytest
import pytest_asyncio

from tests.support.clusters import PATIENT, official_client, running_cluster, settle
from tests.support.pusher_js import AuthServer, PusherJs
from wsmesh.client import Client, Event, Subscribed, signer
from wsmesh_demo.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEASE_SECONDS = 10
GONE_SECONDS = 90.0
"""How long a dead node's members may take to go: its lease runs out, and its peer gives it up."""


class Connect(Protocol):
    """Connects a user to node 1 or 2."""

    def __call__(self, node: int, user: str, *, resume: dict[str, Any] | None = None) -> Awaitable[PusherJs]:
        """With `resume` the client is wrapped so."""
        ...


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster") / "state"
    lease = {"LEASE_SECONDS": str(LEASE_SECONDS)}
    async with running_cluster(folder, nodes=2, registry_settings=lease, node_settings=PATIENT) as cluster:
        yield cluster


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def auth(cluster: Cluster) -> AsyncIterator[AuthServer]:
    server = AuthServer(official_client(cluster), {"id": "ada", "user_info": {"name": "Ada, signed in"}})
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def connect(cluster: Cluster, auth: AuthServer) -> AsyncIterator[Connect]:
    """Connect a user to node 1 or 2."""
    clients: list[PusherJs] = []

    async def connected(node: int, user: str, *, resume: dict[str, Any] | None = None) -> PusherJs:
        parts = urlsplit(cluster.nodes[node].client_url)
        assert parts.hostname is not None
        assert parts.port is not None
        js = await PusherJs.start(
            key=cluster.app.key, host=parts.hostname, port=parts.port, auth=auth.url, user=user, resume=resume
        )
        clients.append(js)
        await js.next("state", state="connected")
        return js

    yield connected
    await asyncio.gather(*(js.stop() for js in clients))


@pytest.fixture
def room() -> str:
    return f"presence-{uuid.uuid4().hex}"


def library(cluster: Cluster, node: int) -> pusher.Pusher:
    """Pusher's Python library, at one node."""
    parts = urlsplit(cluster.nodes[node].client_url)
    app = cluster.app
    return pusher.Pusher(app.id, app.key, app.secret, ssl=False, host=parts.hostname, port=parts.port, timeout=30)


async def ask(cluster: Cluster, node: int, what: str, *arguments: Any) -> Any:
    """Call a method of the library."""
    return await asyncio.to_thread(getattr(library(cluster, node), what), *arguments)


async def subscriptions(cluster: Cluster, room: str, number: int, seconds: float = 30.0) -> None:
    """Wait until a room has so many connections in the cluster."""
    async with asyncio.timeout(seconds):
        while (await ask(cluster, 1, "channel_info", room, ["subscription_count"]))["subscription_count"] != number:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def heard(cluster: Cluster, node: int, room: str, *clients: PusherJs) -> None:
    """Publish at a node and wait for it: what the node's stream said before has come, too."""
    mark = uuid.uuid4().hex
    await ask(cluster, node, "trigger", room, "mark", mark)
    for js in clients:
        await js.next("event", channel=room, data=mark)


async def test_members_of_two_nodes_see_each_other(cluster: Cluster, connect: Connect, room: str) -> None:
    """The answer has everybody, others are told who comes and goes, and the library lists and counts them."""
    eve = await connect(1, "eve")
    await eve.do("subscribe", channel=room)
    assert (await eve.next("subscribed", channel=room))["data"]["me"] == {"id": "eve", "info": {"name": "Eve"}}
    await settle(cluster)
    ada = await connect(2, "ada")
    await ada.subscribe(room)
    assert (await eve.next("member_added"))["data"] == {"id": "ada", "info": {"name": "Ada"}}
    assert await ada.members(room) == await eve.members(room) == {"eve": {"name": "Eve"}, "ada": {"name": "Ada"}}
    for node in (1, 2):
        assert await ask(cluster, node, "users_info", room) == {"users": [{"id": "ada"}, {"id": "eve"}]}
        info = await ask(cluster, node, "channel_info", room, ["user_count"])
        assert info == {"occupied": True, "user_count": 2}
    listed = await ask(cluster, 1, "channels_info", room, ["user_count"])
    assert listed == {"channels": {room: {"user_count": 2}}}
    await ada.do("unsubscribe", channel=room)
    assert (await eve.next("member_removed"))["data"] == {"id": "ada", "info": {"name": "Ada"}}
    await heard(cluster, 2, room, eve)
    assert eve.seen("member_added") == eve.seen("member_removed") == []
    assert ada.seen("member_added") == ada.seen("member_removed") == []


async def test_a_user_on_two_nodes_is_one_member(cluster: Cluster, connect: Connect, room: str) -> None:
    """It comes with its first connection and goes with its last, whatever nodes they are at."""
    eve, first, second = await connect(1, "eve"), await connect(1, "bob"), await connect(2, "bob")
    await eve.subscribe(room)
    await first.subscribe(room)
    assert (await eve.next("member_added"))["data"]["id"] == "bob"
    await settle(cluster)
    await second.subscribe(room)
    assert sorted(await second.members(room)) == ["bob", "eve"]
    await settle(cluster)
    await first.do("disconnect")
    await subscriptions(cluster, room, 2)
    await heard(cluster, 1, room, eve, second)
    await heard(cluster, 2, room, eve, second)
    assert eve.seen("member_added") == eve.seen("member_removed") == []
    assert await ask(cluster, 1, "users_info", room) == {"users": [{"id": "bob"}, {"id": "eve"}]}
    await second.do("disconnect")
    assert (await eve.next("member_removed"))["data"]["id"] == "bob"
    await second.do("connect")
    await second.next("subscribed", channel=room)
    assert (await eve.next("member_added"))["data"]["id"] == "bob"
    assert sorted(await second.members(room)) == ["bob", "eve"]


async def test_who_signed_in_is_known_to_presence_channels(connect: Connect, room: str) -> None:
    """The application need not say again who it is."""
    eve, ada = await connect(1, "eve"), await connect(2, "")
    await eve.subscribe(room)
    await ada.do("signin")
    await ada.next("signed_in")
    await ada.do("subscribe", channel=room)
    assert (await ada.next("subscribed", channel=room))["data"]["me"] == {
        "id": "ada",
        "info": {"name": "Ada, signed in"},
    }
    assert (await eve.next("member_added"))["data"] == {"id": "ada", "info": {"name": "Ada, signed in"}}


async def test_who_resumes_hears_who_is_present_and_what_it_missed(
    cluster: Cluster, connect: Connect, room: str
) -> None:
    """The members of now come with the answer, the events of meanwhile after it."""
    eve, ada, zoe = await connect(1, "eve", resume={}), await connect(2, "ada"), await connect(2, "zoe")
    await eve.subscribe(room)
    await ada.subscribe(room)
    await eve.next("member_added")
    await eve.do("disconnect")
    await ada.next("member_removed")
    await zoe.subscribe(room)
    await ada.do("unsubscribe", channel=room)
    await zoe.next("member_removed")
    await ask(cluster, 2, "trigger", room, "news", "missed")
    await zoe.next("event", channel=room)
    await eve.do("connect")
    assert (await eve.next("recovered", channel=room, recovered=True))["channel"] == room
    assert (await eve.next("event", channel=room))["data"] == "missed"
    assert sorted(await eve.members(room)) == ["eve", "zoe"]
    assert (await zoe.next("member_added"))["data"]["id"] == "eve"


async def test_a_presence_cache_channel(cluster: Cluster, connect: Connect, room: str) -> None:
    """Its subscribers are members, and get its last event."""
    room = room.replace("presence-", "presence-cache-")
    eve = await connect(1, "eve")
    await eve.subscribe(room)
    await eve.next("cache_miss", channel=room)
    await ask(cluster, 1, "trigger", room, "news", "last")
    ada = await connect(2, "ada")
    await ada.subscribe(room)
    assert (await ada.next("event", channel=room))["data"] == "last"
    assert sorted(await ada.members(room)) == ["ada", "eve"]


async def test_the_python_client_is_a_member_too(cluster: Cluster, connect: Connect, room: str) -> None:
    """It is told who is present, and then who comes and goes."""
    eve, bob = await connect(1, "eve"), await connect(1, "bob")
    await eve.subscribe(room)
    await settle(cluster)
    app = cluster.app
    client = Client(cluster.nodes[2].client_url, app.key, authorize=signer(app.key, app.secret, "ada"))
    async with asyncio.timeout(60), client:
        await client.subscribe(room)
        items = aiter(client)
        while not isinstance(item := await anext(items), Subscribed):
            pass
        assert item.members == {"eve": {"name": "Eve"}, "ada": {}}
        assert (await eve.next("member_added"))["data"]["id"] == "ada"
        await bob.subscribe(room)
        added = await anext(items)
        assert isinstance(added, Event)
        assert (added.channel, added.name) == (room, "pusher_internal:member_added")
        assert json.loads(added.data) == {"user_id": "bob", "user_info": {"name": "Bob"}}
        await bob.do("disconnect")
        assert await anext(items) == Event(room, "pusher_internal:member_removed", '{"user_id":"bob"}')
    assert (await eve.next("member_removed", data={"id": "ada", "info": {}}))["channel"] == room


async def test_a_wrong_signature_makes_no_member(
    cluster: Cluster, connect: Connect, auth: AuthServer, room: str
) -> None:
    """The subscriber gets an error, and nobody hears of it."""
    eve, mallory = await connect(1, "eve"), await connect(1, "mallory")
    await eve.subscribe(room)
    auth.refused.add(room)
    await mallory.do("subscribe", channel=room)
    assert (await mallory.next("subscription_error", channel=room))["data"]["status"] == 401
    await heard(cluster, 1, room, eve)
    assert eve.seen("member_added") == []


async def test_the_members_of_a_killed_node_go_once_and_come_back(
    cluster: Cluster, connect: Connect, room: str
) -> None:
    """Each client hears of each of them once; who is also elsewhere stays. When the node is back, so are they."""
    watching = [await connect(1, user) for user in ("eve", "mia", "bob")]
    dying = [await connect(2, user) for user in ("ada", "ada", "bob", "zoe")]
    for js in (*watching, *dying):
        await js.subscribe(room)
    everybody = ["ada", "bob", "eve", "mia", "zoe"]
    for js in watching:
        for user in ("ada", "zoe"):
            while (await js.next("member_added"))["data"]["id"] != user:
                pass
        assert sorted(await js.members(room)) == everybody

    await cluster.nodes.kill(2)
    try:
        for js in watching:
            gone = {(await js.next("member_removed", seconds=GONE_SECONDS))["data"]["id"] for _ in range(2)}
            assert gone == {"ada", "zoe"}
        await heard(cluster, 1, room, *watching)
        assert await ask(cluster, 1, "users_info", room) == {"users": [{"id": "bob"}, {"id": "eve"}, {"id": "mia"}]}
    finally:
        await cluster.nodes.start(2)
    for js in watching:
        back = {(await js.next("member_added", seconds=GONE_SECONDS))["data"]["id"] for _ in range(2)}
        assert back == {"ada", "zoe"}
    await subscriptions(cluster, room, 7, GONE_SECONDS)
    await heard(cluster, 1, room, *watching, *dying)
    await heard(cluster, 2, room, *watching, *dying)
    for js in (*watching, *dying):
        assert sorted(await js.members(room)) == everybody
        assert js.seen("member_removed") == []
    for js in watching:
        assert js.seen("member_added") == []


async def test_a_node_that_does_not_answer_is_named(cluster: Cluster, connect: Connect, room: str) -> None:
    """The list says which node is silent, and has the users that it had."""
    eve, ada = await connect(1, "eve"), await connect(2, "ada")
    await eve.subscribe(room)
    await ada.subscribe(room)
    await eve.next("member_added")
    frozen = cluster.nodes[2].process.pid
    assert frozen is not None
    os.kill(frozen, signal.SIGSTOP)
    try:
        answer = await ask(cluster, 1, "users_info", room)
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert answer == {"users": [{"id": "ada"}, {"id": "eve"}], "unanswered": ["n2"]}
    await heard(cluster, 2, room, eve, ada)
    assert eve.seen("member_removed") == []

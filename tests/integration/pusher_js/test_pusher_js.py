"""The official pusher-js, unmodified, at a cluster behind HAProxy; the official `pusher` publishes and signs."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pusher  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from pusher.http import Request  # type: ignore[import-untyped]

import wsmesh_demo
from tests.support.clusters import official_client, running_cluster, settle
from tests.support.pusher_js import SCRIPT, AuthServer, PusherJs
from wsmesh_demo.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

USER = {"id": "ada", "user_info": {"name": "Ada"}}

Connect = Callable[[], Awaitable[PusherJs]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path_factory.mktemp("cluster") / "state") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def official(cluster: Cluster) -> pusher.Pusher:
    master_key = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
    return official_client(cluster, encryption_master_key_base64=master_key)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def auth(official: pusher.Pusher) -> AsyncIterator[AuthServer]:
    server = AuthServer(official, USER)
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def connect(cluster: Cluster, auth: AuthServer) -> AsyncIterator[Connect]:
    clients: list[PusherJs] = []

    async def connected(url: str = cluster.url, ca: Path | None = cluster.certificates.ca) -> PusherJs:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        js = await PusherJs.start(key=cluster.app.key, host=parts.hostname, port=parts.port, auth=auth.url, ca=ca)
        clients.append(js)
        await js.next("state", state="connected")
        return js

    yield connected
    await asyncio.gather(*(js.stop() for js in clients))


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


async def trigger(official: pusher.Pusher, channel: str, data: Any, event: str = "news") -> dict[str, Any]:
    answer: dict[str, Any] = await asyncio.to_thread(official.trigger, channel, event, data)
    return answer


async def test_public_channel(connect: Connect, official: pusher.Pusher, name: str) -> None:
    """A message that `pusher` publishes arrives at pusher-js, data and all."""
    js = await connect()
    await js.subscribe(name)
    await trigger(official, name, {"text": "grüße ☃", "list": [1, None]})
    event = await js.next("event", channel=name)
    assert (event["event"], event["data"]) == ("news", {"text": "grüße ☃", "list": [1, None]})


async def test_every_node(cluster: Cluster, connect: Any, official: pusher.Pusher, name: str) -> None:
    """A message that is published through HAProxy arrives at clients of every node, at each once and in order."""
    clients = [await connect(node.client_url, None) for node in cluster.nodes]
    for js in clients:
        await js.subscribe(name)
    for number in range(20):
        await trigger(official, name, number)
    for js in clients:
        assert [(await js.next("event", channel=name))["data"] for _ in range(20)] == list(range(20))
    await trigger(official, name, "last")
    for js in clients:
        assert (await js.next("event", channel=name))["data"] == "last"


async def test_private_channel(connect: Connect, official: pusher.Pusher, name: str) -> None:
    """A private channel is joined with the signature that `pusher` makes."""
    js = await connect()
    await js.subscribe(f"private-{name}")
    await trigger(official, f"private-{name}", {"secret": 1})
    assert (await js.next("event", channel=f"private-{name}"))["data"] == {"secret": 1}


async def test_wrong_signature(connect: Connect, auth: AuthServer, official: pusher.Pusher, name: str) -> None:
    """A wrong signature gets a subscription error, and no message of the channel."""
    channel = f"private-{name}"
    auth.refused.add(channel)
    js = await connect()
    await js.subscribe(name)
    await js.do("subscribe", channel=channel)
    assert (await js.next("subscription_error", channel=channel))["data"]["status"] == 401
    await trigger(official, channel, "hidden")
    await trigger(official, name, "shown")
    await js.next("event", channel=name)
    assert js.seen("event", channel=channel) == []


async def test_encrypted_channel(connect: Connect, official: pusher.Pusher, name: str) -> None:
    """What `pusher` encrypts for a private-encrypted channel, pusher-js decrypts."""
    js = await connect()
    await js.subscribe(f"private-encrypted-{name}")
    await trigger(official, f"private-encrypted-{name}", {"sealed": True})
    assert (await js.next("event", channel=f"private-encrypted-{name}"))["data"] == {"sealed": True}


@pytest.mark.parametrize("prefix", ["cache-", "private-cache-", "private-encrypted-cache-"])
async def test_cache_channel(
    cluster: Cluster, connect: Connect, official: pusher.Pusher, name: str, prefix: str
) -> None:
    """A cache channel says that it is empty, and later gives its last message to whoever comes, at any node."""
    channel = prefix + name
    first = await connect()
    await first.subscribe(channel)
    await first.next("cache_miss", channel=channel)
    await trigger(official, channel, {"n": 1})
    await trigger(official, channel, {"n": 2})
    assert (await first.next("event", channel=channel, data={"n": 2}))["event"] == "news"
    await settle(cluster)
    for late in (await connect(), await connect()):
        await late.subscribe(channel)
        assert (await late.next("event", channel=channel))["data"] == {"n": 2}
        assert late.seen("cache_miss") == []


async def test_signin(connect: Connect, official: pusher.Pusher, name: str) -> None:
    """After a signin, what `pusher` sends to the user arrives, and not at others."""
    js, stranger = await connect(), await connect()
    await js.do("signin")
    await js.next("signed_in")
    await js.subscribe(name)  # behind the subscription to the user's own channel, which pusher-js keeps to itself
    await stranger.subscribe("strangers")
    await asyncio.to_thread(official.send_to_user, USER["id"], "greeting", {"hello": "Ada"})
    await trigger(official, "strangers", "end")
    assert (await js.next("user_event", event="greeting"))["data"] == {"hello": "Ada"}
    await stranger.next("event", channel="strangers")
    assert stranger.seen("user_event") == []


async def test_terminate_connections(cluster: Cluster, connect: Connect, official: pusher.Pusher) -> None:
    """Terminating a user's connections closes them for good, and nobody else's."""
    js, stranger = await connect(), await connect()
    await js.do("signin")
    await js.next("signed_in")
    # pusher 3.3.4 leaves /apps/{id} out of this one path, so its own method reaches no server.
    path = f"/apps/{cluster.app.id}/users/{USER['id']}/terminate_connections"
    http = official._pusher_client.http
    await asyncio.to_thread(http.send_request, Request(official._pusher_client, "POST", path, {}))
    assert (await js.next("error"))["code"] == 4009
    await js.next("state", state="disconnected")
    await stranger.subscribe("still-there")


async def test_unsubscribe(connect: Connect, official: pusher.Pusher, name: str) -> None:
    """After an unsubscribe no message of the channel arrives; other channels go on."""
    js = await connect()
    await js.subscribe(name)
    await js.subscribe(f"{name}-other")
    await js.do("unsubscribe", channel=name)
    await js.subscribe(f"{name}-third")
    await trigger(official, name, "gone")
    await trigger(official, f"{name}-other", "here")
    await js.next("event", channel=f"{name}-other")
    assert js.seen("event", channel=name) == []


async def test_client_events_are_refused(connect: Connect, official: pusher.Pusher, name: str) -> None:
    """A client event gets error 4301, reaches nobody, and the connection lives on."""
    channel = f"private-{name}"
    sender, other = await connect(), await connect()
    for js in (sender, other):
        await js.subscribe(channel)
    await sender.do("trigger", channel=channel, event="client-typing", data="x")
    assert (await sender.next("error"))["code"] == 4301
    await trigger(official, channel, "end")
    for js in (sender, other):
        assert (await js.next("event", channel=channel))["data"] == "end"


async def test_socket_id_is_excluded(connect: Connect, official: pusher.Pusher, name: str) -> None:
    """A publish that names a socket id reaches every subscriber but that one."""
    sender, other = await connect(), await connect()
    for js in (sender, other):
        await js.subscribe(name)
    await sender.do("report")
    socket_id = (await sender.next("socket_id"))["socket_id"]
    await asyncio.to_thread(official.trigger, name, "news", "mine", socket_id)
    await trigger(official, name, "end")
    assert (await other.next("event", channel=name))["data"] == "mine"
    assert (await sender.next("event", channel=name))["data"] == "end"


async def test_vendored_copy() -> None:
    """The page's pusher-js is that of the npm package, unmodified, and the page names its version."""
    package = SCRIPT.parent / "node_modules" / "pusher-js"
    static = Path(wsmesh_demo.__file__).parent / "static"
    assert (static / "pusher.min.js").read_bytes() == (package / "dist" / "web" / "pusher.min.js").read_bytes()
    version = json.loads((package / "package.json").read_text())["version"]
    for page in ("VENDORED.md", "index.html"):
        assert version in (static / page).read_text()

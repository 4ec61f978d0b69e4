"""Real nodes tell a real receiver, which checks every signature with Pusher's own library."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

from tests.support.clusters import running_cluster
from tests.support.webhooks import Receiver, receiving, validated
from wsmesh.signature import channel_auth
from wsmesh_demo.cluster import Cluster
from wsnode.domain.webhook_tellers import Tellers

SECONDS = 30.0
PATIENT = {"PUSH_TIMEOUT": "20", "WEBHOOK_TIMEOUT": "20"}
"""A busy machine is no failure."""
Event = dict[str, Any]


@asynccontextmanager
async def running(
    tmp_path: Path, nodes: int = 3, delay: float = 1, lease: float = 10
) -> AsyncIterator[tuple[Cluster, Receiver]]:
    """A cluster and a receiver, not yet known to each other."""
    plan = {
        "node_settings": {"WEBHOOK_DELAY": f"{delay:g}"} | PATIENT,
        "registry_settings": {"LEASE_SECONDS": f"{lease:g}"},
    }
    async with receiving() as receiver, running_cluster(tmp_path / "cluster", nodes=nodes, **plan) as cluster:
        yield cluster, receiver


async def hook(cluster: Cluster, receiver: Receiver, name: str, **more: Any) -> None:
    """Let the app have a webhook at the path of its name, and wait until every node knows it."""
    async with cluster.registry.client() as registry:
        await registry.set_webhook(cluster.app.id, name, {"url": f"{receiver.url}/{name}"} | more)
    async with asyncio.timeout(SECONDS), aiohttp.ClientSession() as http:
        for node in cluster.nodes:
            while node.process.alive:
                async with http.get(f"{node.client_url}/metrics") as answer:
                    if f'webhook="{name}"' in await answer.text():
                        break
                await asyncio.sleep(0.05)


async def subscribed(cluster: Cluster, number: int, *channels: str) -> ClientConnection:
    """A client of a node that has joined channels."""
    url = f"{cluster.nodes[number].client_url.replace('http', 'ws', 1)}/app/{cluster.app.key}?protocol=7"
    ws = await connect(url, compression=None)
    for channel in channels:
        await ws.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}}))
    waiting = set(channels)
    async with asyncio.timeout(SECONDS):
        while waiting:
            message = json.loads(await ws.recv())
            if message["event"] == "pusher_internal:subscription_succeeded":
                waiting.discard(message["channel"])
    return ws


async def present(cluster: Cluster, number: int, channel: str, user: str) -> ClientConnection:
    """A client of a node that is a user in a presence channel."""
    ws = await subscribed(cluster, number)
    async with asyncio.timeout(SECONDS):
        socket_id = json.loads(json.loads(await ws.recv())["data"])["socket_id"]
        channel_data = json.dumps({"user_id": user})
        auth = channel_auth(cluster.app.key, cluster.app.secret, socket_id, channel, channel_data)
        data = {"channel": channel, "auth": auth, "channel_data": channel_data}
        await ws.send(json.dumps({"event": "pusher:subscribe", "data": data}))
        while json.loads(await ws.recv())["event"] != "pusher_internal:subscription_succeeded":
            pass
    return ws


def checked(cluster: Cluster, receiver: Receiver, path: str) -> list[Event]:
    """All events at a path, after Pusher's library has taken each request."""
    for delivery in receiver.at(path):
        assert validated(delivery, cluster.app.key, cluster.app.secret) is not None
    return receiver.events(path)


async def told(cluster: Cluster, receiver: Receiver, path: str, *events: Event) -> None:
    """Wait until as many events came, and check that they are these."""
    await receiver.until(lambda: len(receiver.events(path)) >= len(events), SECONDS)
    assert checked(cluster, receiver, path) == list(events)


def occupied(channel: str) -> Event:
    return {"name": "channel_occupied", "channel": channel}


def vacated(channel: str) -> Event:
    return {"name": "channel_vacated", "channel": channel}


def count(number: int) -> Event:
    return {"name": "subscription_count", "channel": "counted", "subscription_count": number}


async def test_what_happens_is_told_once(tmp_path: Path) -> None:
    """Each event of each channel comes once, from one of three nodes, to each webhook that wants it."""
    async with running(tmp_path) as (cluster, receiver):
        async with cluster.registry.client() as registry:
            await registry.set_rule(cluster.app.id, "counted", {"subscription_count": True})
        before = await subscribed(cluster, 1, "early")
        await hook(cluster, receiver, "all")
        await hook(cluster, receiver, "orders", channels="order-*", events=["channel_occupied", "channel_vacated"])
        await told(cluster, receiver, "/all", occupied("early"))

        clients = [await subscribed(cluster, number, "order-1", "counted") for number in (1, 2, 3)]
        wanted = (occupied("order-1"), occupied("counted"), count(3))  # in no order: two channels, maybe two nodes
        await receiver.until(lambda: all(one in receiver.events("/all") for one in wanted), SECONDS)
        counts = [one for one in receiver.events("/all") if one["name"] == "subscription_count"]
        assert counts == sorted(counts, key=lambda one: int(one["subscription_count"]))
        assert receiver.events("/all").count(occupied("order-1")) == 1
        assert receiver.events("/all").count(occupied("counted")) == 1

        missed = await subscribed(cluster, 2, "cache-a")
        await receiver.until(lambda: occupied("cache-a") in receiver.events("/all"), SECONDS)
        miss = {"name": "cache_miss", "channel": "cache-a"}
        await receiver.until(lambda: miss in receiver.events("/all"), SECONDS)

        for client in clients:
            await client.close()
        await receiver.until(lambda: vacated("order-1") in receiver.events("/all"), SECONDS)
        await receiver.until(lambda: vacated("counted") in receiver.events("/all"), SECONDS)
        await told(cluster, receiver, "/orders", occupied("order-1"), vacated("order-1"))
        everything = checked(cluster, receiver, "/all")
        assert everything.count(miss) == 1
        assert everything.index(count(0)) < everything.index(vacated("counted"))
        once = [one for one in everything if one["name"] != "subscription_count"]
        assert len(once) == len({str(one) for one in once})
        await before.close()
        await missed.close()


async def test_members_are_told_once(tmp_path: Path) -> None:
    """A user comes with the first connection and goes with the last, whatever nodes they are at."""
    async with running(tmp_path) as (cluster, receiver):
        await hook(cluster, receiver, "all")
        channel = "presence-room"
        first, second = [await present(cluster, number, channel, "ann") for number in (1, 2)]
        other = await present(cluster, 3, channel, "bob")

        def member(kind: str, user: str) -> Event:
            return {"name": f"member_{kind}", "channel": channel, "user_id": user}

        await receiver.until(lambda: len(receiver.events("/all")) >= 3, SECONDS)
        assert checked(cluster, receiver, "/all")[0] == occupied(channel)
        assert member("added", "ann") in receiver.events("/all")
        assert member("added", "bob") in receiver.events("/all")
        await first.close()
        await other.close()
        await receiver.until(lambda: member("removed", "bob") in receiver.events("/all"), SECONDS)
        await second.close()
        await receiver.until(lambda: vacated(channel) in receiver.events("/all"), SECONDS)
        assert checked(cluster, receiver, "/all")[3:] == [
            member("removed", "bob"),
            member("removed", "ann"),
            vacated(channel),
        ]


async def test_a_reconnect_is_not_told(tmp_path: Path) -> None:
    """A client that comes back at another node within WEBHOOK_DELAY leaves the channel occupied."""
    async with running(tmp_path, delay=6) as (cluster, receiver):
        await hook(cluster, receiver, "all")
        client = await subscribed(cluster, 1, "room")
        await told(cluster, receiver, "/all", occupied("room"))
        again = await subscribed(cluster, 2, "other")
        await client.close()
        await again.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": "room"}}))
        await receiver.until(lambda: occupied("other") in receiver.events("/all"), SECONDS)
        await again.close()
        await receiver.until(lambda: len(receiver.events("/all")) >= 4, SECONDS)
        assert sorted(one["name"] for one in checked(cluster, receiver, "/all")) == [
            *["channel_occupied"] * 2,
            *["channel_vacated"] * 2,
        ]


async def test_the_telling_node_is_killed(tmp_path: Path) -> None:
    """What it had told is not told again; what it could not tell, and what came after, the next one tells."""
    async with running(tmp_path, lease=5) as (cluster, receiver):
        await hook(cluster, receiver, "all")
        tellers = Tellers([node.id for node in cluster.nodes])
        teller = int((tellers.of(cluster.app.id, "room") or "")[1:])
        other = 1 if teller != 1 else 2
        client = await subscribed(cluster, other, "room")
        await told(cluster, receiver, "/all", occupied("room"))

        same = next(f"c{n}" for n in range(10_000) if tellers.of(cluster.app.id, f"c{n}") == f"n{teller}")
        receiver.answers["/all"] = 503
        more = await subscribed(cluster, other, same)
        await receiver.until(lambda: occupied(same) in receiver.events("/all"), SECONDS)
        await cluster.nodes.kill(teller)
        receiver.deliveries.clear()
        receiver.answers["/all"] = 200
        await receiver.until(lambda: occupied(same) in receiver.events("/all"), 2 * SECONDS)

        await client.close()
        await receiver.until(lambda: vacated("room") in receiver.events("/all"), SECONDS)
        await cluster.nodes.start(teller)
        await more.close()
        await receiver.until(lambda: vacated(same) in receiver.events("/all"), SECONDS)
        # The dead one may have sent it, too, and not have heard that it had come.
        events = checked(cluster, receiver, "/all")
        once = [event for place, event in enumerate(events) if event not in events[:place]]
        assert once == [occupied(same), vacated("room"), vacated(same)]
        assert all(event == occupied(same) for event in events if events.count(event) > 1)


async def test_a_rolling_restart_repeats_nothing(tmp_path: Path) -> None:
    """Nodes that stop in order and come back hand their channels over with what was told of them."""
    async with running(tmp_path) as (cluster, receiver):
        await hook(cluster, receiver, "all")
        channels = [f"room-{number}" for number in range(12)]
        client = await subscribed(cluster, 3, *channels)
        await receiver.until(lambda: len(receiver.events("/all")) >= len(channels), SECONDS)
        for number in (1, 2):
            await cluster.nodes.stop(number)
            await cluster.nodes.start(number)
        await client.close()
        await receiver.until(lambda: len(receiver.events("/all")) >= 2 * len(channels), SECONDS)
        everything = checked(cluster, receiver, "/all")
        expected = [event for channel in channels for event in (occupied(channel), vacated(channel))]
        assert sorted(map(str, everything)) == sorted(map(str, expected))


async def test_the_last_node_tells_that_its_clients_are_gone(tmp_path: Path) -> None:
    """A node that stops in order, and has nobody to leave it to, tells what its own end does."""
    async with running(tmp_path, nodes=1) as (cluster, receiver):
        await hook(cluster, receiver, "all")
        client = await subscribed(cluster, 1, "room")
        await told(cluster, receiver, "/all", occupied("room"))
        await cluster.nodes.stop(1)
        assert checked(cluster, receiver, "/all") == [occupied("room"), vacated("room")]
        await client.close()

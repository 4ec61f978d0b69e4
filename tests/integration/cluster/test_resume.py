"""A client whose node was killed comes back at another one, and a publisher tries again there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

from tests.support.clusters import PATIENT, running_cluster, set_rule, settle
from wsmesh_demo.cluster import Cluster

CHANNEL = "news"


async def hear(ws: ClientConnection) -> Any:
    """The next message that is not the node's telling of positions."""
    async with asyncio.timeout(10):
        while (message := json.loads(await ws.recv()))["event"] == "pusher_internal:position":
            pass
    return message


async def resumed(cluster: Cluster, number: int, position: dict[str, int]) -> tuple[ClientConnection, Any]:
    """A connection to a node, subscribed from a position, and what the answer says."""
    url = f"{cluster.nodes[number].client_url.replace('http', 'ws', 1)}/app/{cluster.app.key}?protocol=7"
    ws = await connect(url, compression=None)
    assert (await hear(ws))["event"] == "pusher:connection_established"
    await ws.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": CHANNEL, "position": position}}))
    return ws, json.loads((await hear(ws))["data"])


async def publish(cluster: Cluster, number: int, data: int, **more: str) -> Any:
    """Publish a number at a node, acknowledged by another one."""
    headers = {"Authorization": f"Bearer {cluster.app.publish_key}"} | more
    url = f"{cluster.nodes[number].client_url}/apps/{cluster.app.id}/events?acks=1"
    body = {"name": "e", "channel": CHANNEL, "data": str(data)}
    async with aiohttp.ClientSession(headers=headers) as http, http.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_a_client_of_a_killed_node_misses_nothing_at_another(tmp_path: Path) -> None:
    """It gets what it missed of every node's stream, the dead one's too, once and before anything new."""
    async with running_cluster(tmp_path / "cluster") as cluster:
        ws, answer = await resumed(cluster, 1, {})
        position = answer["position"]
        await publish(cluster, 1, 1)
        stream, _, seq = (await hear(ws))["id"].rpartition(":")
        position[stream] = int(seq)
        await publish(cluster, 2, 2)
        stream, _, seq = (await hear(ws))["id"].rpartition(":")
        position[stream] = int(seq)
        await ws.close()

        await publish(cluster, 1, 3)
        await cluster.nodes.kill(1)
        first = await publish(cluster, 3, 4, **{"X-Idempotency-Key": "four"})
        ws, answer = await resumed(cluster, 2, position)
        assert answer["recovered"] is True
        missed = [await hear(ws) for _ in range(2)]
        assert sorted(message["data"] for message in missed) == ["3", "4"]

        again = await publish(cluster, 2, 4, **{"X-Idempotency-Key": "four"})
        assert again["id"] == first["id"]
        assert again["acknowledged_by"] == [cluster.nodes[3].id]
        await publish(cluster, 2, 5)
        assert (await hear(ws))["data"] == "5"
        await ws.close()


async def test_every_node_keeps_to_the_bytes_of_a_rule(tmp_path: Path) -> None:
    """Who has missed more than the rule's bytes hold is told so at any node, and who has missed less gets all of it."""
    async with running_cluster(tmp_path / "cluster", node_settings=PATIENT) as cluster:
        await set_rule(cluster, CHANNEL, history_bytes=4_000)  # 12 of these events, more or less
        await settle(cluster)
        ws, answer = await resumed(cluster, 1, {})
        await ws.close()
        ids = [(await publish(cluster, 1, number))["id"] for number in range(40)]
        await settle(cluster)
        for number in (1, 2, 3):
            ws, late = await resumed(cluster, number, answer["position"])
            assert late["recovered"] is False
            await ws.close()
            stream, _, seq = ids[-6].rpartition(":")
            ws, soon = await resumed(cluster, number, answer["position"] | {stream: int(seq)})
            assert soon["recovered"] is True
            assert [(await hear(ws))["id"] for _ in range(5)] == ids[-5:]
            await ws.close()

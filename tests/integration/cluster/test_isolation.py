"""A node that hears nobody any more moves its clients on, and is back by itself when it hears somebody."""

from __future__ import annotations

import json
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from websockets.asyncio.client import connect

from tests.support.clusters import running_cluster
from tests.support.listening import listening
from tests.support.waiting import until, until_async
from wsmesh_demo.cluster import Cluster

CHANNEL = "news"
SETTINGS = {
    "ISOLATION_GRACE": "1",
    "DRAIN_SECONDS": "1",
    "PUSH_TIMEOUT": "0.5",
    "PEER_HEARTBEAT": "0.2",
    "PEER_DOWN": "1",
}
ISOLATED = "isolated: none of 2 peers answers, nor does the registry"


async def readiness(cluster: Cluster) -> tuple[int, list[str]]:
    """What the first node answers to `GET /readyz`."""
    async with aiohttp.ClientSession() as http, http.get(f"{cluster.nodes[1].client_url}/readyz") as answer:
        return answer.status, (await answer.json())["reasons"]


async def publish(cluster: Cluster, number: int) -> None:
    """Publish at the second node."""
    headers = {"Authorization": f"Bearer {cluster.app.publish_key}"}
    url = f"{cluster.nodes[2].client_url}/apps/{cluster.app.id}/events"
    body = {"name": "e", "channel": CHANNEL, "data": json.dumps({"n": number})}
    async with aiohttp.ClientSession(headers=headers) as http, http.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()


async def test_an_isolated_node_moves_its_clients_on_and_comes_back(tmp_path: Path) -> None:
    """With peers and registry frozen it turns unready, says why, and closes its clients; then it takes new ones."""
    async with running_cluster(tmp_path / "cluster", node_settings=SETTINGS) as cluster:
        url, key = cluster.nodes[1].client_url, cluster.app.key
        others = [cluster.registry.process, cluster.nodes[2].process, cluster.nodes[3].process]
        async with AsyncExitStack() as clients:
            heard = [await clients.enter_async_context(listening(url, key, CHANNEL)) for _ in range(3)]
            http = await clients.enter_async_context(aiohttp.ClientSession())
            stream = await clients.enter_async_context(http.get(f"{url}/apps/{key}/events?channels={CHANNEL}"))
            try:
                for process in others:
                    assert process.signal(signal.SIGSTOP)

                async def isolated() -> bool:
                    status, reasons = await readiness(cluster)
                    return status in (404, 503) and reasons == [ISOLATED]  # 404 as long as it has clients

                await until_async(isolated, 60)
                await until(lambda: all(each.closed is not None for each in heard), 60)
                assert {each.closed for each in heard} == {4200}
                assert b"subscription_succeeded" in await stream.content.read()
                async with connect(f"{url.replace('http', 'ws', 1)}/app/{key}?protocol=7") as ws:
                    error = json.loads(await ws.recv())
                    text = "This node has lost the others and takes no clients; try again"
                    assert error["data"] == {"code": 4100, "message": text}
            finally:
                for process in others:
                    process.signal(signal.SIGCONT)

        async def ready() -> bool:
            return await readiness(cluster) == (200, [])

        await until_async(ready, 60)

        async def admitted() -> bool:
            async with connect(f"{url.replace('http', 'ws', 1)}/app/{key}?protocol=7") as ws:
                return bool(json.loads(await ws.recv())["event"] == "pusher:connection_established")

        await until_async(admitted, 30)
        async with listening(url, key, CHANNEL) as client:
            await publish(cluster, 7)
            await until(lambda: [event["data"] for event in client.events] == [{"n": 7}], 30)
        log = cluster.nodes[1].process.log.read_text()
        found = [name for name in ("isolation_isolated", "isolation_moving", "isolation_together") if name in log]
        assert found == ["isolation_isolated", "isolation_moving", "isolation_together"]

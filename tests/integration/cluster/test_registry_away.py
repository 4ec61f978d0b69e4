"""The registry is not on the path of a message: without it everything that runs goes on."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import aiohttp

from tests.support.clusters import official_client, running_cluster, trust
from tests.support.listening import listening
from tests.support.waiting import until
from wsmesh_demo.cluster import Cluster
from wsmesh_demo.processes import plain_environment, program

CHANNEL = "news"


async def reasons(cluster: Cluster, number: int) -> tuple[int, list[str]]:
    """What a node answers to `GET /readyz`."""
    url = f"{cluster.nodes[number].client_url}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return answer.status, (await answer.json())["reasons"]


def sync_once(cluster: Cluster) -> subprocess.CompletedProcess[str]:
    """Run haproxy-sync as cron does."""
    assert cluster.balancer is not None
    return subprocess.run(
        [program("haproxy-sync"), "--once"],
        env=plain_environment() | cluster.balancer.sync_settings(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_clients_come_and_a_node_restarts_without_the_registry(tmp_path: Path) -> None:
    """With the registry stopped clients connect and receive, a node restarts from its disk, HAProxy keeps its state."""
    async with running_cluster(tmp_path / "cluster") as cluster:
        assert cluster.balancer is not None
        publisher = official_client(cluster)
        await cluster.registry.process.stop(10)

        async with listening(cluster.url, cluster.app.key, CHANNEL, tls=trust(cluster)) as through_haproxy:
            await asyncio.to_thread(publisher.trigger, CHANNEL, "e", {"n": 1})
            await until(lambda: [event["data"]["n"] for event in through_haproxy.events] == [1])

            await cluster.nodes.kill(3)
            await cluster.nodes.start(3)
            assert await reasons(cluster, 3) == (200, [])
            assert "config_from_disk" in cluster.nodes[3].process.log.read_text()
            async with listening(cluster.nodes[3].client_url, cluster.app.key, CHANNEL) as at_restarted:
                await asyncio.to_thread(publisher.trigger, CHANNEL, "e", {"n": 2})
                await until(lambda: [event["data"]["n"] for event in at_restarted.events] == [2])
            assert through_haproxy.closed is None

        await cluster.all_up()  # HAProxy noticed the kill, and needs a moment to trust the node again
        before = await cluster.standing()
        done = await asyncio.to_thread(sync_once, cluster)
        assert done.returncode == 1
        assert cluster.registry.url in done.stderr
        assert "kept" in done.stderr
        assert await cluster.standing() == before


async def test_when_the_registry_is_back_changes_flow_again(tmp_path: Path) -> None:
    """After the registry has come back a new app reaches every node, and nobody was removed meanwhile."""
    async with running_cluster(tmp_path / "cluster") as cluster:
        await cluster.registry.process.kill()
        await cluster.registry.start()
        async with cluster.registry.client() as registry:
            app = await registry.create_app({"id": "2000", "name": "Second"})
            states = {node["id"]: node["state"] for node in await registry.nodes()}
        assert states == {"n1": "ready", "n2": "ready", "n3": "ready"}
        for number in (1, 2, 3):
            async with asyncio.timeout(20):
                while not await welcomes(cluster, number, app["key"]):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


async def welcomes(cluster: Cluster, number: int, key: str) -> bool:
    """Whether a node knows the app with this key."""
    try:
        async with listening(cluster.nodes[number].client_url, key, CHANNEL):
            return True
    except AssertionError:
        return False

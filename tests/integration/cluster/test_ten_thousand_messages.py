"""Ten thousand messages through HAProxy while a node joins, is drained and leaves."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from tests.support.clusters import PATIENT, official_client, running_cluster, trust
from tests.support.listening import listening
from tests.support.waiting import until
from wsmesh_demo.cluster import Cluster

PUBLISHERS = 4
EACH = 2_500
CHANNEL = "numbers"


async def publish_all(cluster: Cluster, publisher: int, progress: Counter[int]) -> None:
    """Publish EACH numbered messages, one after the other, with the official library."""
    client = official_client(cluster, timeout=60)

    def run() -> None:
        for number in range(1, EACH + 1):
            client.trigger(CHANNEL, "number", {"publisher": publisher, "number": number})
            progress[publisher] += 1

    await asyncio.to_thread(run)


def check(events: list[dict[str, Any]]) -> None:
    """Each message once; those of one stream, and of one publisher in one stream, in order."""
    by_publisher: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    by_stream: dict[str, list[int]] = defaultdict(list)
    for event in events:
        stream, _, seq = event["id"].rpartition(":")
        by_publisher[event["data"]["publisher"]][stream].append(event["data"]["number"])
        by_stream[stream].append(int(seq))
    assert set(by_publisher) == set(range(PUBLISHERS))
    for publisher, streams in by_publisher.items():
        assert sorted(chain(*streams.values())) == list(range(1, EACH + 1))
        assert all(numbers == sorted(numbers) for numbers in streams.values())
        assert len(streams) == 1 or publisher == PUBLISHERS - 1, "only the publisher at the drained node moves"
    assert len(by_stream) > 1, "the messages should come from several nodes"
    for seqs in by_stream.values():
        assert all(before < after for before, after in pairwise(seqs))


async def test_none_is_lost_while_a_node_joins_is_drained_and_leaves(tmp_path: Path) -> None:
    """A client of node 3 gets 10,000 messages once each and in order, no other socket is dropped, nothing reloads."""
    async with running_cluster(tmp_path / "cluster", node_settings=PATIENT) as cluster, AsyncExitStack() as stack:
        assert cluster.balancer is not None
        app, tls, balancer_pid = cluster.app, trust(cluster), cluster.balancer.process.pid
        node_3 = cluster.nodes[3]
        target = await stack.enter_async_context(listening(node_3.client_url, app.key, CHANNEL))
        bystanders = [
            await stack.enter_async_context(listening(cluster.url, app.key, "other", tls=tls)) for _ in range(8)
        ]
        progress: Counter[int] = Counter()
        publishing = [asyncio.create_task(publish_all(cluster, number, progress)) for number in range(PUBLISHERS - 1)]
        await until(lambda: progress.total() > 200, 60)

        added = await cluster.nodes.add("east")
        await cluster.all_up()
        publishing.append(asyncio.create_task(publish_all(cluster, PUBLISHERS - 1, progress)))
        await until(lambda: progress[PUBLISHERS - 1] > 200, 60)
        async with cluster.registry.client() as registry:
            await registry.drain(added.id)
        await until_standing(cluster, added.id, "draining")
        await cluster.nodes.stop(added.number)
        await until_standing(cluster, added.id, "out")

        await asyncio.gather(*publishing)
        await until(lambda: len(target.events) >= PUBLISHERS * EACH, 30)
        check(target.events)
        assert [listener.closed for listener in (target, *bystanders)] == [None] * (1 + len(bystanders))
        assert cluster.balancer.process.pid == balancer_pid


async def until_standing(cluster: Cluster, node: str, wanted: str) -> None:
    """Wait until HAProxy sees a node so."""
    async with asyncio.timeout(15):
        while (await cluster.standing())[node] != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

"""A steady flow of numbered messages through HAProxy, each acknowledged by a second node."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import aiohttp

from tests.support.clusters import trust
from wsmesh_demo.cluster import Cluster
from wsmesh_demo.nodes import Node

Heard = tuple[int, str]
"""The number in a message, and its event id."""


@dataclass
class Flow:
    """Messages 0, 1, 2 …, or from another number on; those before `published` were acknowledged by two nodes."""

    published: int = 0
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Publish no more once the present message is acknowledged."""
        self._stopped.set()

    async def run(self, cluster: Cluster, channel: str, pause: float) -> None:
        """Publish until the end; what is refused or not answered is repeated with its idempotency key."""
        connector = aiohttp.TCPConnector(ssl=trust(cluster))
        cookies = aiohttp.DummyCookieJar()  # without its cookie HAProxy is free to choose another node each time
        headers = {"Authorization": f"Bearer {cluster.app.publish_key}"}
        async with aiohttp.ClientSession(connector=connector, cookie_jar=cookies, headers=headers) as http:
            done = True
            while not (done and self._stopped.is_set()):
                done = await self._publish(http, cluster, channel)
                self.published += done
                await asyncio.sleep(pause if done else 0.05)

    async def _publish(self, http: aiohttp.ClientSession, cluster: Cluster, channel: str) -> bool:
        number = str(self.published)
        url = f"{cluster.url}/apps/{cluster.app.id}/events?acks=1"
        body = {"name": "number", "channel": channel, "data": number}
        key = {"X-Idempotency-Key": f"{channel}-{number}"}
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(5), http.post(url, json=body, headers=key) as answer:
                return answer.status == 200
        return False


@asynccontextmanager
async def flowing(cluster: Cluster, channel: str, *, first: int = 0, pause: float = 0.01) -> AsyncIterator[Flow]:
    """Publish to a channel until `stop`, or to the end of the block."""
    flow = Flow(first)
    task = asyncio.create_task(flow.run(cluster, channel, pause))
    try:
        yield flow
        flow.stop()
        async with asyncio.timeout(60):
            await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def check(heard: Sequence[Heard], numbers: Iterable[int]) -> None:
    """Each of the numbers once, and each stream in order."""
    assert sorted(number for number, _ in heard) == list(numbers)
    last: dict[str, list[int]] = {}
    for _, event_id in heard:
        stream, _, seq = event_id.rpartition(":")
        last.setdefault(stream, []).append(int(seq))
    for seqs in last.values():
        assert all(before < after for before, after in pairwise(seqs))


async def busiest(cluster: Cluster) -> Node:
    """The node that has most clients."""
    most: tuple[int, Node] | None = None
    async with aiohttp.ClientSession() as http:
        for node in cluster.nodes:
            if node.process.alive:
                async with http.get(f"{node.client_url}/metrics") as answer:
                    found = re.search(r"^wsmesh_connections(?:\{.*\})? (\d+)", await answer.text(), re.MULTILINE)
                    assert found is not None
                    most = max(most or (-1, node), (int(found[1]), node), key=lambda pair: pair[0])
    assert most is not None
    return most[1]

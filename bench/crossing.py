"""From a publisher at one node to a client of another: `PYTHONPATH=. python bench/crossing.py`.

A cluster of three nodes on loopback; messages one after the other, then by 16 publishers at once. Times are from before
the request to the event in the client's hands, so they hold the publisher's and the client's own work as well.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from tests.support.clusters import running_cluster
from tests.support.listening import Listener, listening
from tests.support.waiting import until
from wsmesh_demo.cluster import Cluster

CHANNEL = "bench"
AT_ONCE = 16


async def publish(http: aiohttp.ClientSession, url: str, sent: dict[int, float], number: int) -> float:
    """Publish one numbered message; the seconds until the answer."""
    sent[number] = time.monotonic()
    body = {"name": "e", "channel": CHANNEL, "data": json.dumps(number)}
    async with http.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()
        await answer.read()
    return time.monotonic() - sent[number]


def show(label: str, seconds: list[float]) -> None:
    """Print median and 99th percentile in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    print(f"{label:<44} median {cuts[49] * 1000:7.2f} ms   99 % {cuts[98] * 1000:7.2f} ms")


async def measure(cluster: Cluster, listener: Listener, messages: int, acks: str) -> None:
    """Print the figures for one setting of `acks`."""
    url = f"{cluster.nodes[1].client_url}/apps/{cluster.app.id}/events?acks={acks}"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {cluster.app.publish_key}"}) as http:
        for publishers in (1, AT_ONCE):
            sent: dict[int, float] = {}
            numbers = iter(range(messages))
            answers: list[float] = []
            before, began = len(listener.events), time.monotonic()

            async def work(
                numbers: object = numbers, sent: dict[int, float] = sent, answers: list[float] = answers
            ) -> None:
                for number in numbers:  # type: ignore[attr-defined]
                    answers.append(await publish(http, url, sent, number))

            await asyncio.gather(*(work() for _ in range(publishers)))
            took = time.monotonic() - began
            await until(lambda before=before: len(listener.events) - before >= messages, 30)  # type: ignore[misc]
            heard = zip(listener.events[before:], listener.times[before:], strict=True)
            print(f"acks={acks}, {publishers} at once: {messages / took:.0f} publishes/s")
            show("  publish to answer", answers)
            show("  publish to the client of another node", [at - sent[event["data"]] for event, at in heard])


async def main(messages: int) -> None:
    """Run all."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            running_cluster(Path(folder) / "cluster") as cluster,
            listening(cluster.nodes[3].client_url, cluster.app.key, CHANNEL) as listener,
        ):
            for acks in ("0", "1", "all"):
                await measure(cluster, listener, messages, acks)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))

"""Publishers of numbered messages, each acknowledged by another node before the next one is sent."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from random import Random

import aiohttp

from tests.failover.clients import BUCKET

TRY_SECONDS = 4.0
"""How long one request may take."""
AGAIN = {429, 502, 503, 504}
"""Answers after which the same message is sent again with the same idempotency key."""


@dataclass
class Published:
    """What all publishers did."""

    acknowledged: dict[str, dict[int, int]] = field(default_factory=dict)
    """Channel -> publisher -> the last number; all up to it are acknowledged."""
    unacknowledged: list[str] = field(default_factory=list)
    """Given up at the end: may or may not be delivered."""
    total: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)
    """Milliseconds from a message's first try to its acknowledgement -> how many."""


class Publishers:
    """Publishers that send `rate` messages a second together, over `addresses` in turn, to `channels` in turn."""

    def __init__(
        self, addresses: list[str], app: dict[str, str], channels: list[str], number: int, rate: float
    ) -> None:
        self.published = Published({channel: {} for channel in channels})
        self._addresses = addresses
        self._app = app
        self._channels = channels
        self._number = number
        self._pause = number / rate
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._run(number)) for number in range(self._number)]

    async def stop(self, patience: float) -> Published:
        """Send nothing new; wait until what is on its way is acknowledged, or give it up after `patience` seconds."""
        self._stopping.set()
        _, late = await asyncio.wait(self._tasks, timeout=patience)
        await self.abandon()
        for task in self._tasks:
            if task not in late:
                task.result()
        return self.published

    async def abandon(self) -> None:
        """End at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, publisher: int) -> None:
        random, loop = Random(publisher), asyncio.get_running_loop()
        address = self._addresses[publisher % len(self._addresses)]
        url = f"{address}/apps/{self._app['id']}/events?acks=1"
        headers = {"Authorization": f"Bearer {self._app['publish_key']}"}
        numbers: Counter[str] = Counter()
        channels = cycle(
            self._channels[publisher % len(self._channels) :] + self._channels[: publisher % len(self._channels)]
        )
        await asyncio.sleep(random.uniform(0, self._pause))
        due = loop.time()
        timeout = aiohttp.ClientTimeout(total=TRY_SECONDS)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
            while not self._stopping.is_set():
                channel = next(channels)
                numbers[channel] += 1
                await self._publish(http, url, channel, publisher, numbers[channel], random)
                due = max(due + self._pause, loop.time() - self._pause)
                await asyncio.sleep(due - loop.time())

    async def _publish(
        self, http: aiohttp.ClientSession, url: str, channel: str, publisher: int, number: int, random: Random
    ) -> None:
        loop, name = asyncio.get_running_loop(), f"{channel}/{publisher}/{number}"
        began = loop.time()
        body = {"name": "n", "channel": channel, "data": json.dumps({"p": publisher, "n": number, "t": began})}
        done = self.published
        done.unacknowledged.append(name)
        while True:
            try:
                async with http.post(url, json=body, headers={"X-Idempotency-Key": f"{began}/{name}"}) as answer:
                    text = await answer.text()
            except TimeoutError:
                done.retries["no answer in time"] += 1
            except aiohttp.ClientError as problem:
                done.retries[type(problem).__name__] += 1
            else:
                if answer.status == 200:
                    assert json.loads(text)["acknowledged_by"], text
                    break
                assert answer.status in AGAIN, f"{answer.status} {text}"
                done.retries[f"{answer.status} {json.loads(text)['error']['code']}"] += 1
            await asyncio.sleep(random.uniform(0.05, 0.3))
        done.unacknowledged.remove(name)
        done.acknowledged[channel][publisher] = number
        done.total += 1
        done.buckets[int(loop.time() / BUCKET)] += 1
        done.latencies[int((loop.time() - began) * 1000)] += 1

"""One run of one scenario: traffic, the fault in its midst, and the accounts afterwards."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.failover.cluster import LOCATIONS, Cluster
from tests.failover.forms import Form
from tests.failover.publishers import Publishers
from tests.failover.results import Result, evaluate
from tests.failover.scenarios import Scenario

SUBSCRIBERS = 25
"""Clients of one channel."""
SETTLE = 60.0
"""Seconds, at most, until everything acknowledged is with everybody."""
ROOT = Path(__file__).parents[2]


class Process:
    """A process with clients."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, key: str, clients: list[list[Any]]) -> Process:
        """Start it with its clients."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.failover.clients"),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**28,
        )
        self = cls(process)
        self._tell({"key": key, "clients": clients})
        return self

    async def ask(self, **order: Any) -> dict[str, Any]:
        """Its answer."""
        self._tell(order)
        assert self._process.stdout is not None
        async with asyncio.timeout(SETTLE):
            line = await self._process.stdout.readline()
        assert line, "a process with clients has ended; what it said is above"
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def end(self) -> None:
        """End it."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def _tell(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")


class Run:
    """See `scenarios.Run`."""

    def __init__(self, cluster: Cluster, form: Form, scenario: Scenario) -> None:
        self.cluster = cluster
        self.form = form
        self._scenario = scenario
        self._loop = asyncio.get_running_loop()
        self._marks: list[tuple[float, str]] = []
        self._proofs: list[str] = []
        self._clients = form.rolling_clients if scenario.rolling else form.clients
        self._rate = form.rolling_rate if scenario.rolling else form.rate
        self._processes: list[Process] = []

    def mark(self, what: str) -> None:
        """See `scenarios.Run`."""
        self._marks.append((self._loop.time(), what))

    def saw(self, what: str) -> None:
        """See `scenarios.Run`."""
        self._proofs.append(what)

    async def losses(self) -> int:
        """See `scenarios.Run`."""
        return await self._sum("status", "losses")

    async def all_back(self) -> None:
        """See `scenarios.Run`."""

        async def back() -> bool:
            return await self._sum("status", "subscribed") == self._clients

        await self.cluster.until("all clients are subscribed", back)

    async def go(self) -> Result:
        """Run it to its end."""
        places = list(LOCATIONS.values())
        channels = [f"failover-{number}" for number in range(max(2, self._clients // SUBSCRIBERS))]
        key = self.cluster.app["key"]
        balancers = [self.cluster.balancer(places[number % len(places)]) for number in range(len(places))]
        clients = [
            [number, *balancers[number % len(places)], channels[number // len(places) % len(channels)]]
            for number in range(self._clients)
        ]
        urls = [f"http://{host}:{port}" for host, port in balancers]
        publishers = Publishers(urls, self.cluster.app, channels, self.form.publishers, self._rate)
        try:
            for part in range(self.form.workers):
                self._processes.append(await Process.start(key, clients[part :: self.form.workers]))
            await self.all_back()
            began = self._loop.time()
            publishers.start()
            await asyncio.sleep(self.form.steady)
            await self._scenario.fault(self)
            await self.cluster.well()
            await self.all_back()
            self.mark("all is well")
            await asyncio.sleep(self.form.steady)
            published = await publishers.stop(SETTLE)
            await self._settle(published.acknowledged)
            ends = [await part.ask(do="end", acknowledged=published.acknowledged) for part in self._processes]
            return evaluate(self._scenario, self._clients, began, self._marks, self._proofs, published, ends)
        finally:
            await publishers.abandon()
            for process in self._processes:
                await process.end()

    async def _settle(self, acknowledged: dict[str, dict[int, int]]) -> None:
        """Give what is acknowledged time to arrive; whatever has not then is lost."""
        deadline = self._loop.time() + SETTLE
        while await self._sum("missing", "missing", acknowledged=acknowledged):
            if self._loop.time() > deadline:
                return
            await asyncio.sleep(0.2)

    async def _sum(self, order: str, figure: str, **more: Any) -> int:
        figures: Counter[str] = Counter()
        for process in self._processes:
            figures.update(await process.ask(do=order, **more))
        return figures[figure]

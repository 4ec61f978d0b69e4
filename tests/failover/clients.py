"""A process with hundreds of clients: `python -m tests.failover.clients`.

Reads JSON lines, answers each with one. The first says what to start: `{"key", "clients": [[name, host, port,
channel]]}`. Then come `{"do": "status"}`, `{"do": "missing", "acknowledged": {channel: {publisher: last}}}`, and
`{"do": "end", "acknowledged"}` for the whole account. Times are of the machine's steady clock, which all processes
share.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import uvloop

from tests.failover.listener import Listener

BUCKET = 0.25
"""Seconds of one step of the curve of deliveries."""

Acknowledged = dict[str, dict[str, int]]


class Worker:
    """All clients of this process and what is noted of them together."""

    def __init__(self, key: str, clients: list[list[Any]]) -> None:
        self.buckets: Counter[int] = Counter()
        self.latencies: Counter[int] = Counter()
        """Milliseconds from a message's first try to its arrival -> how many."""
        self.unrecovered: list[int] = []
        self.errors: Counter[str] = Counter()
        self.tasks: set[asyncio.Task[None]] = set()
        self.listeners = [Listener(name, (host, port), key, channel, self) for name, host, port, channel in clients]

    def delivered(self, now: float, latency: float) -> None:
        """A new message came."""
        self.buckets[int(now / BUCKET)] += 1
        self.latencies[int(latency * 1000)] += 1

    async def start(self) -> None:
        """Connect all, a hundred in a second or so."""
        for listener in self.listeners:
            listener.connect()
            await asyncio.sleep(0.005)

    def missing(self, acknowledged: Acknowledged) -> dict[int, list[str]]:
        """Client -> what it has not got."""
        found = {}
        for listener in self.listeners:
            numbers = {int(name): last for name, last in acknowledged.get(listener.channel, {}).items()}
            if lacks := listener.account.missing(numbers):
                found[listener.name] = lacks
        return found

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what a line says."""
        if order["do"] == "status":
            return {
                "subscribed": sum(listener.subscribed for listener in self.listeners),
                "losses": sum(len(listener.losses) for listener in self.listeners),
            }
        missing = self.missing(order["acknowledged"])
        if order["do"] == "missing":
            return {"missing": sum(map(len, missing.values()))}
        for listener in self.listeners:
            listener.end()
        return {
            "lost": [f"client {name} lacks {what}" for name, lacks in missing.items() for what in lacks],
            "clients": [
                {
                    "name": listener.name,
                    "received": listener.account.received,
                    "repeats": listener.account.repeats,
                    "duplicates": listener.account.duplicates,
                    "disorder": listener.account.disorder,
                    "silence": listener.longest_silence,
                    "losses": listener.losses,
                }
                for listener in self.listeners
            ],
            "unrecovered": self.unrecovered,
            "errors": self.errors,
            "buckets": self.buckets,
            "latencies": self.latencies,
        }


async def main() -> None:
    """Work until stdin ends."""
    reader = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    given = json.loads(await reader.readline())
    worker = Worker(given["key"], given["clients"])
    starting = asyncio.create_task(worker.start())
    while line := await reader.readline():
        sys.stdout.write(json.dumps(worker.answer(json.loads(line))) + "\n")
        sys.stdout.flush()
    starting.cancel()


if __name__ == "__main__":
    uvloop.run(main())

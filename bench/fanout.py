"""How many messages a node delivers in a second: `python bench/fanout.py [SUBSCRIBERS] [SECONDS]`.

One node, its hub and its real sockets in this process; the subscribers' sockets in another one on the same machine.
Events of 200 bytes are published one after the other to one channel, each after the one before was given to the
kernel, so nothing is joined; then in bursts of ten, which the loop joins to one write for each subscriber.
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop
from node import APP, CHANNEL, serving, subscribers

from wsnode.domain.messages import Event, Message
from wsnode.web.clients import Clients

DATA = '{"price":123.45,"text":"' + "x" * 160 + '"}'


async def run(clients: Clients, seconds: float, burst: int) -> None:
    """Publish for some seconds and print the rate."""
    sequence, before, cpu, start = 0, clients.messages_out, time.process_time(), time.perf_counter()
    some = list(clients.connections)[:10]
    event = Event(app=APP.id, channels=[CHANNEL], name="price", data=DATA)
    while (passed := time.perf_counter() - start) < seconds:
        for _ in range(burst):
            sequence += 1
            clients.deliver("bench~1", Message(sequence, event))
        await asyncio.sleep(0)
        while any(client.unsent_bytes > 100_000 for client in some):  # noqa: ASYNC110 - the readers need a rest
            await asyncio.sleep(0.005)
    sent, used = clients.messages_out - before, time.process_time() - cpu
    print(
        f"bursts of {burst}: {sent / passed:,.0f} messages a second to {clients.sessions} subscribers, "
        f"{used / sent * 1e6:.2f} µs of processor time each, {clients.slow} closed as too slow"
    )


async def main(number: int, seconds: float) -> None:
    """Measure both ways of publishing."""
    async with serving() as (clients, port), subscribers(clients, port, number, subscribe=True):
        for burst in (1, 10):
            await run(clients, seconds, burst)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]] + [1000, 5][len(sys.argv) - 1 :]
    uvloop.run(main(given[0], given[1]))

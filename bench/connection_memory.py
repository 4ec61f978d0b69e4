"""What an idle client costs a node in memory: `python bench/connection_memory.py [CLIENTS]`.

Resident memory of the node's process, with every client connected (and subscribed to one channel), less that of
before, over their number; the memory of the kernel for the sockets is not in it.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
from pathlib import Path

import uvloop
from node import serving, subscribers

DEFAULT_CLIENTS = 5000


def resident() -> int:
    """Bytes of memory of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def measure(number: int) -> None:
    """Print the figures."""
    async with serving() as (clients, port):
        async with subscribers(clients, port, 100, subscribe=True):
            pass  # what is made once for all is not to be counted
        before, tasks = resident(), len(asyncio.all_tasks())
        async with subscribers(clients, port, number, subscribe=False):
            idle = resident()
            async with subscribers(clients, port, number, subscribe=True, already=number):
                subscribed = resident()
                more = len(asyncio.all_tasks()) - tasks
    print(f"{number} idle clients: {(idle - before) / number / 1024:.2f} KiB each")
    print(f"{number} more, each subscribed: {(subscribed - idle) / number / 1024:.2f} KiB each")
    print(f"{more} more tasks than before")


if __name__ == "__main__":
    uvloop.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_CLIENTS))

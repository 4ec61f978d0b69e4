"""A port for a process that a test starts."""

from __future__ import annotations

import socket
from functools import cache

from wsmesh_demo.ports import BLOCK, FreePorts


class _Block:
    """A hundred ports that are this process's alone while it lives, and which of them is next."""

    def __init__(self) -> None:
        self._kept = FreePorts(1)
        self._next = 0

    def take(self) -> int:
        for _ in range(BLOCK):
            port = self._kept.ports.port + self._next
            self._next = (self._next + 1) % BLOCK
            try:
                socket.create_server(("127.0.0.1", port)).close()
            except OSError:
                continue
            return port
        raise AssertionError("a hundred ports are in use by this test process")


_block = cache(_Block)


def free_port() -> int:
    """A port that nobody listens on now, and that no other test will be given."""
    return _block().take()

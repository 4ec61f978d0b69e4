"""Which ports a cluster listens on: all follow from one number, and each can be moved on its own."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from wsmesh_demo.errors import DemoError

LOOPBACK = "127.0.0.1"
MAX_NODES = 40
BLOCK = 100
"""Ports from the first on that a cluster may use when none is moved."""

# Below the range from which Linux takes the ports of outgoing connections (32768 on), so that none is in our way.
FREE_FROM, FREE_TO = 12_000, 32_000


@dataclass(frozen=True)
class Ports:
    """The ports of one cluster, by the setting that moves each."""

    port: int
    """HAProxy: the page, WebSockets and the publish API."""
    registry_port: int
    page_port: int
    """The back end of the page, behind HAProxy."""
    stats_port: int
    """HAProxy's metrics."""
    node_port: int
    """Client port of the first node; the next ones follow."""
    mesh_port: int
    """Mesh port of the first node; the next ones follow."""

    @classmethod
    def laid_out(cls, port: int, moved: Mapping[str, int] | None = None) -> Self:
        """All ports from the first one on, but for those that `moved` names."""
        offsets = {"port": 0, "registry_port": 1, "page_port": 2, "stats_port": 3, "node_port": 11, "mesh_port": 51}
        return cls(**{name: (moved or {}).get(name, port + offset) for name, offset in offsets.items()})

    def client(self, number: int) -> int:
        """Client port of node 1, 2, 3 …"""
        return self.node_port + number - 1

    def mesh(self, number: int) -> int:
        """Mesh port of node 1, 2, 3 …"""
        return self.mesh_port + number - 1

    def used_by(self, nodes: int) -> list[tuple[str, str, int]]:
        """Each port of a cluster of so many nodes: who listens, the setting that moves it, the port."""
        used = [
            ("HAProxy", "PORT", self.port),
            ("the registry", "REGISTRY_PORT", self.registry_port),
            ("the page's back end", "PAGE_PORT", self.page_port),
            ("HAProxy's metrics", "STATS_PORT", self.stats_port),
        ]
        for number in range(1, nodes + 1):
            used.append((f"node {number}", "NODE_PORT", self.client(number)))
            used.append((f"the mesh of node {number}", "MESH_PORT", self.mesh(number)))
        return used

    def check(self, nodes: int) -> None:
        """Raise DemoError unless every port exists, is asked for once and is free."""
        if not 1 <= nodes <= MAX_NODES:
            raise DemoError(f"NODES: found {nodes}, expected a number from 1 to {MAX_NODES}")
        seen: dict[int, str] = {}
        problems = []
        for user, setting, port in self.used_by(nodes):
            if not 1 <= port <= 65_535:
                problems.append(f"port {port} for {user} does not exist; move it with {setting}=…")
            elif port in seen:
                problems.append(f"port {port} is meant for {seen[port]} and for {user}; move one with {setting}=…")
            elif (reason := _why_not_free(port)) is not None:
                problems.append(f"port {port} for {user} cannot be used: {reason}; move it with {setting}=…")
            seen.setdefault(port, user)
        if problems:
            raise DemoError(
                "\n".join([*problems, "(PORT=… moves all ports at once, to the hundred that starts there)"])
            )


def _why_not_free(port: int) -> str | None:
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError as problem:
        return os.strerror(problem.errno).lower() if problem.errno else str(problem)
    return None


class FreePorts:
    """A hundred ports that no other cluster of this machine takes while this object is open."""

    def __init__(self, nodes: int) -> None:
        """`nodes` is how many the cluster has at its start; the rest of the hundred may be used later."""
        self._lock, self.ports = self._find(nodes)

    def close(self) -> None:
        """Let others have them."""
        self._lock.close()

    @staticmethod
    def _find(nodes: int) -> tuple[IO[bytes], Ports]:
        starts = list(range(FREE_FROM, FREE_TO, BLOCK))
        random.shuffle(starts)
        for start in starts:
            try:
                lock = (Path(tempfile.gettempdir()) / f"wsmesh-ports-{start}.lock").open("wb")
            except OSError:
                continue  # another user's
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                ports = Ports.laid_out(start)
                ports.check(nodes)
            except (OSError, DemoError):
                lock.close()
                continue
            return lock, ports
        raise DemoError(f"no hundred ports from {FREE_FROM} to {FREE_TO} are free")

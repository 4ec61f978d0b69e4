"""The nodes of a cluster, running or not."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsmesh_demo.errors import DemoError
from wsmesh_demo.plan import Plan
from wsmesh_demo.ports import LOOPBACK, MAX_NODES
from wsmesh_demo.processes import Process, answers
from wsmesh_demo.registry import Registry


@dataclass(frozen=True)
class Node:
    """One `wsnode`."""

    number: int
    location: str
    client_port: int
    mesh_port: int
    process: Process

    @property
    def id(self) -> str:
        """Its NODE_ID."""
        return f"n{self.number}"

    @property
    def client_address(self) -> str:
        """Where HAProxy reaches it."""
        return f"{LOOPBACK}:{self.client_port}"

    @property
    def client_url(self) -> str:
        """Where clients and publishers reach it without HAProxy."""
        return f"http://{self.client_address}"

    def as_json(self) -> dict[str, Any]:
        """Its form in cluster.json; `pid` is null when it does not run."""
        return {
            "id": self.id,
            "location": self.location,
            "client_url": self.client_url,
            "mesh_url": f"http://{LOOPBACK}:{self.mesh_port}",
            "pid": self.process.pid,
        }


class Nodes:
    """The nodes by number: 1, 2, 3 …"""

    def __init__(self, plan: Plan, registry: Registry, folder: Path, logs: Path) -> None:
        self._plan = plan
        self._registry = registry
        self._folder = folder
        self._logs = logs
        self._cluster_key = secrets.token_urlsafe(32)
        self._nodes: dict[int, Node] = {}

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __getitem__(self, number: int) -> Node:
        """The node with this number. Raises DemoError."""
        if number not in self._nodes:
            raise DemoError(f"there is no node {number}; there are {', '.join(map(str, self._nodes))}")
        return self._nodes[number]

    async def start_first(self) -> None:
        """Start the nodes that the plan asks for. Raises DemoError."""
        for number in range(1, self._plan.nodes + 1):
            self._declare(number, self._plan.location_of(number))
        await asyncio.gather(*(self.start(node.number) for node in self))

    async def start(self, number: int) -> Node:
        """Start a node that does not run, and wait until it is ready. Raises DemoError."""
        node = self[number]
        if node.process.alive:
            raise DemoError(f"node {number} runs already (process {node.process.pid})")
        await node.process.start()
        await node.process.ready(lambda: answers(f"{node.client_url}/readyz"), self._plan.start_seconds)
        return node

    async def kill(self, number: int) -> Node:
        """Kill a node as a crash would; nothing starts it again. Raises DemoError when it does not run."""
        node = self[number]
        if not node.process.alive:
            raise DemoError(f"node {number} does not run; start it with `make demo-start NODE={number}`")
        await node.process.kill()
        return node

    async def stop(self, number: int, seconds: float = 60.0) -> Node:
        """Let a node drain and end; after so many seconds it is killed."""
        node = self[number]
        await node.process.stop(seconds)
        return node

    async def add(self, location: str | None = None) -> Node:
        """Start one more, in the location that has fewest unless one is named. Raises DemoError."""
        number = max(self._nodes, default=0) + 1
        if number > MAX_NODES:
            raise DemoError(f"there is room for {MAX_NODES} nodes")
        present = [node.location for node in self if node.process.alive]
        self._declare(number, location or min(self._plan.locations, key=present.count))
        return await self.start(number)

    async def stop_all(self, seconds: float) -> None:
        """End all of them."""
        await asyncio.gather(*(node.process.stop(seconds) for node in self))

    def _declare(self, number: int, location: str) -> None:
        client_port, mesh_port = self._plan.ports.client(number), self._plan.ports.mesh(number)
        node_id = f"n{number}"
        environ = {
            "NODE_ID": node_id,
            "LOCATION": location,
            "HOST": LOOPBACK,
            "PORT": str(client_port),
            "MESH_HOST": LOOPBACK,
            "MESH_PORT": str(mesh_port),
            "CLUSTER_KEY": self._cluster_key,
            "WS_UPDATES_URL": self._registry.url,
            "WS_UPDATES_KEY": self._registry.node_key,
            "STATE_DIR": str(self._folder / node_id),
            "LOG_FORMAT": "console",
            "DRAIN_SECONDS": "1",
            **self._plan.node_settings,
        }
        process = Process(f"node {node_id}", ["wsnode"], environ, self._logs / f"wsnode-{node_id}.log")
        self._nodes[number] = Node(number, location, client_port, mesh_port, process)

"""A cluster of real processes on loopback: registry, nodes, HAProxy, haproxy-sync. The demo and the tests use it."""

from __future__ import annotations

import asyncio
import os
from types import TracebackType
from typing import Any, Self

from wsmesh_demo import certificates
from wsmesh_demo.errors import DemoError
from wsmesh_demo.haproxy import Balancer, Standing
from wsmesh_demo.nodes import Nodes
from wsmesh_demo.plan import Plan
from wsmesh_demo.ports import LOOPBACK
from wsmesh_demo.registry import App, Registry
from wsmesh_demo.state import StateFolder

STOP_SECONDS = 5.0


class Cluster:
    """`async with Cluster(plan) as cluster:` everything runs and every node takes clients; after it nothing is left."""

    app: App
    certificates: certificates.Certificates

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.state = StateFolder(plan.folder)
        self.url = f"https://{LOOPBACK}:{plan.ports.port}"
        self.registry = Registry(plan, self.state.path, self.state.logs)
        self.nodes = Nodes(plan, self.registry, self.state.path, self.state.logs)
        self.balancer: Balancer | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start everything and wait until every node takes clients. Raises DemoError, and then nothing runs."""
        self.state.take()
        try:
            self.plan.ports.check(self.plan.nodes)
            await self._start_parts()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End everything, in an order in which nobody waits for clients or peers."""
        if self.balancer is not None:
            await self.balancer.stop(STOP_SECONDS)
        await self.nodes.stop_all(STOP_SECONDS)
        await self.registry.process.stop(STOP_SECONDS)
        self.state.release()

    async def _start_parts(self) -> None:
        plan, say = self.plan, self.plan.say
        say("making a certificate for HAProxy")
        self.certificates = certificates.make(self.state.path, self.state.run)
        say("starting the registry (wsupdates, on SQLite)")
        await self.registry.start()
        self.app = await self.registry.make_keys_and_app()
        places = dict.fromkeys(plan.location_of(number) for number in range(1, plan.nodes + 1))
        say(f"starting {plan.nodes} {'node' if plan.nodes == 1 else 'nodes'} (wsnode) in {' and '.join(places)}")
        await self.nodes.start_first()
        say("starting HAProxy and haproxy-sync")
        self.balancer = Balancer(plan, self.registry, self.state.run, self.state.logs, self.certificates.haproxy)
        await self.balancer.start()
        say("waiting until HAProxy has found every node ready")
        await self.all_up()
        self.write_cluster_file()

    async def all_up(self) -> None:
        """Wait until HAProxy gives clients to every node that runs. Raises DemoError."""
        assert self.balancer is not None
        deadline = asyncio.get_running_loop().time() + self.plan.start_seconds
        while True:
            standing = await self.standing()
            waiting = [node.id for node in self.nodes if node.process.alive and standing[node.id] != "up"]
            if not waiting:
                return
            for process in (self.balancer.process, self.balancer.sync):
                if not process.alive:
                    raise DemoError(f"{process.name} ended.\n{process.tail()}")
            if asyncio.get_running_loop().time() > deadline:
                raise DemoError(
                    f"HAProxy did not find {', '.join(waiting)} ready within {self.plan.start_seconds:g} seconds.\n"
                    f"{self.balancer.sync.tail()}\n{self.balancer.process.tail()}"
                )
            await asyncio.sleep(0.1)

    async def standing(self) -> dict[str, Standing]:
        """What HAProxy thinks of each node, by its id."""
        assert self.balancer is not None
        found = await self.balancer.standing()
        return {node.id: found.get(node.client_address, "out") for node in self.nodes}

    def describe(self) -> dict[str, Any]:
        """Where everything is, secrets included: the content of cluster.json."""
        assert self.balancer is not None
        return {
            "url": self.url,
            "ca": str(self.certificates.ca),
            "registry_url": self.registry.url,
            "admin_key": self.registry.admin_key,
            "app": self.app.as_json(),
            "nodes": [node.as_json() for node in self.nodes],
            "haproxy": {"pid": self.balancer.process.pid, "stats_socket": str(self.balancer.socket)},
            "registry": {"pid": self.registry.process.pid},
            "haproxy_sync": {"pid": self.balancer.sync.pid},
            "supervisor": {"pid": os.getpid()},
            "control_socket": str(self.state.control),
            "logs": str(self.state.logs),
        }

    def write_cluster_file(self) -> None:
        """Bring cluster.json up to date."""
        self.state.write_cluster(self.describe())

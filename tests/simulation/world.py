"""A cluster with its clients and publishers in one process and in simulated time, and a model that watches it.

Everything that happens is drawn from random generators with one seed, so that it replays a run to the last message.
"""

from __future__ import annotations

from random import Random
from typing import Any
from zlib import crc32

from tests.simulation.client import Client
from tests.simulation.clock import Clock
from tests.simulation.model import Model
from tests.simulation.network import Network
from tests.simulation.node import Disk, Node, Surroundings
from tests.simulation.publisher import Publisher
from tests.simulation.registry import Registry
from tests.simulation.violation import Violation
from wsmesh.contract import App, ChannelRule
from wsnode.domain.directory import Directory
from wsnode.domain.mesh import MeshLimits

LONG, FEW, SHORT, ROOM = "long", "few", "short", "presence-room"
"""Channels: one keeps all that a run publishes and counts subscribers, one keeps five messages, one keeps them for two
seconds, and one tells who is there.
"""

USERS = ("ann", "ben")
"""Fewer than there may be clients: a user may be there several times."""

REST_SECONDS = 0.5
"""An event that is older has reached every node, once all faults have ended."""

APP = App(
    id="a",
    key="key",
    secret="secret",
    rules=[
        ChannelRule(pattern=LONG, history_messages=10_000, history_seconds=300, subscription_count=True),
        ChannelRule(pattern=FEW, history_messages=5),
        ChannelRule(pattern=SHORT, history_seconds=2),
    ],
)


class World:
    """`names` are the nodes that run at first; `brief`: logs are shorter than the run."""

    def __init__(self, seed: int, names: list[str], *, clients: int = 3, brief: bool = False, **limits: Any) -> None:
        self.random = Random(seed)
        self.clock = Clock()
        self.brief = brief
        self.names = names
        log_seconds = 12.0 if brief else 300.0
        self.model = Model(self.clock, log_seconds=log_seconds)
        self.network = Network(self.clock, self.random)
        self.registry = Registry(self.clock)
        self.disks: dict[str, Disk] = {}
        self.around = Surroundings(
            clock=self.clock,
            network=self.network,
            registry=self.registry,
            directory=Directory([APP]),
            limits=MeshLimits(**({"log_seconds": log_seconds, "in_flight": 2, "batch_bytes": 600} | limits)),
            history_bytes=1_000_000,
            random=self.random,
            model=self.model,
        )
        self.publisher = Publisher(self.clock, self.random, self.model, self.any_ready)
        for name in names:
            self.start(name)
        self.clients = [
            Client(
                f"client{number}",
                self.random.choice(([LONG], [LONG, ROOM], [FEW, SHORT], [FEW, ROOM], [LONG, FEW, SHORT, ROOM])),
                self.random.choice(USERS),
                app=APP,
                clock=self.clock,
                random=self.random,
                model=self.model,
                choose=self.any_ready,
            )
            for number in range(clients)
        ]
        for client in self.clients:
            client.connect()
        self._registry_ages()

    # --- nodes

    @property
    def nodes(self) -> dict[str, Node]:
        """The nodes that run, by name."""
        return self.network.nodes

    def any_ready(self) -> Node | None:
        """A node that HAProxy would choose."""
        ready = [node for node in self.nodes.values() if node.ready]
        return self.random.choice(ready) if ready else None

    def start(self, name: str, *, clock_error: float = 0.0, version: int = 1) -> None:
        """Start a node, with a new stream."""
        disk = self.disks.setdefault(name, Disk())
        node = self.nodes[name] = Node(name, self.around, disk, clock_error=clock_error, version=version)
        self.model.starts(node)
        self.say(f"start {node.stream} version {version}")

    def kill(self, name: str) -> None:
        """End a node without a word."""
        self.say(f"kill {self.nodes[name].stream}")
        self.nodes[name].end()

    def pause(self, name: str, seconds: float) -> None:
        """Freeze a node: it does nothing and answers nothing, and then goes on as if nothing had been."""
        node = self.nodes[name]
        node.paused_until = max(node.paused_until, self.clock.now + seconds)  # what waits already waits until then
        self.say(f"pause {name} for {seconds}")

    def drain(self, name: str) -> None:
        """Let a node leave in order."""
        self.say(f"drain {name}")
        node = self.nodes[name]
        node.when_awake(node.drain)

    def stopped_clock(self) -> float:
        """The error of a clock that says the same at every start, as on machines that keep no time."""
        return -self.clock.now

    def innovate(self, name: str) -> None:
        """A node of the next version says something that this one does not know."""
        node = self.nodes[name]
        node.when_awake(node.innovate)

    # --- all

    def say(self, line: str) -> None:
        """Add to the trace."""
        self.model.say(line)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.run_until(self.clock.now + seconds)

    def heal(self) -> None:
        """End all faults, start some of what does not run, and let those who do not stay away come back."""
        self.network.heal()
        self.registry.heal()
        self.publisher.loss = 0.0
        while any(node.draining or node.paused_until > self.clock.now for node in self.nodes.values()):
            self.run(0.5)
        for name in self.names:
            if name not in self.nodes and (len(self.nodes) < 2 or self.random.random() < 0.5):
                self.start(name)
        for client in self.clients:
            client.rate = 0.0
            client.cut(0.0)
        self.say(f"heal: {sorted(self.nodes)} run, {[client.name for client in self.clients if client.away]} are away")

    def rest(self, seconds: float) -> None:
        """Let so much time pass, and then until what was published again last has reached every node."""
        self.run(seconds)
        while self.clock.now - self.publisher.active_at < REST_SECONDS:
            self.run(REST_SECONDS)

    def fingerprint(self) -> int:
        """Tells two runs apart that differ in anything."""
        figures = (self.network.requests, self.network.bytes, self.model.delivered_to_clients, self.model.said)
        return crc32(repr((self.model.trace, figures)).encode())

    def check_quiet(self) -> None:
        """After everything has healed and come to rest: all see the same, and nothing that was promised is missing."""
        nodes = list(self.nodes.values())
        positions = {tuple(sorted((s, n) for s, n in node.mesh.position().items() if n)) for node in nodes}
        if len(positions) > 1 and not self.brief:
            raise Violation(f"positions differ after all has healed: {positions}")
        for node in nodes:
            if sorted(node.mesh.up()) != sorted(name for name in self.nodes if name != node.name):
                raise Violation(f"{node.name} sees only {node.mesh.up()} up")
            if not node.ready:
                raise Violation(f"{node.name} is not ready: {node.reasons()}")
        if self.model.gaps and not self.brief:
            raise Violation(f"{self.model.gaps} gaps were counted though the logs are long enough")
        clients = [client for client in self.clients if not client.away]
        pairs = [(client.name, channel) for client in clients for channel in sorted(client.subscribed)]
        if len(pairs) != sum(len(client.channels) for client in clients):
            raise Violation(f"only {pairs} are subscribed after all has healed")
        self.model.check_delivered(nodes, pairs)
        counting = [client.name for client in clients if LONG in client.channels]
        for name in counting:
            self.model.check_count(name, LONG, len(counting))
        room = [client for client in clients if ROOM in client.channels]
        present = {client.user for client in room}
        for client in room:
            self.model.check_members(client.name, present)
        for node in nodes:
            if (known := set(node.hub.members(APP.id, ROOM))) != present:
                raise Violation(f"{node.stream} believes that {sorted(known)} are present, {sorted(present)} are")

    def check_resume(self) -> None:
        """When nothing is missing, a client that goes to another node is told so."""
        known = set.intersection(*(set(node.mesh.position()) for node in self.nodes.values()))
        whole = [
            client.name
            for client in self.clients
            # A stream that died with all who had it leaves it open what was in it.
            if known.issuperset(client.positions.get(LONG, {}))
        ]
        before = self.model.losses.copy()
        for client in self.clients:
            client.cut(node_notices=1.0)
        self.run(2.5)
        for name in whole:
            if self.model.losses[name, LONG] > before[name, LONG] and not self.brief:
                raise Violation(f"{name} was told that something is missing, and nothing is")

    def _registry_ages(self) -> None:
        self.registry.pass_time()
        self.clock.after(1.0, self._registry_ages)

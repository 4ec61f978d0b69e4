"""A cluster in one process and in simulated time: nodes' real mesh code, a network and a registry that fail by a seed.

Everything that happens is drawn from one random generator, so that a seed replays a run to the last message.
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from wsnode.domain.effects import Deliver, Effect, Gap, PeerForgotten, PeerSnapshot, Request
from wsnode.domain.inbox import Malformed
from wsnode.domain.mesh import Member, Mesh, MeshLimits, SameNode, UnknownStream
from wsnode.domain.messages import Event, StreamId, stream_id
from wsnode.domain.wire import Goodbye, Hello, Pull, Push, Snapshot

TICK = 0.2
TIMEOUT = 3.0
LEASE = 5.0
REGISTRY_DELAY = 0.3


class Violation(AssertionError):
    """A promise was broken. The text says which, when and where."""


@dataclass(eq=False)
class Run:
    """One run of one node: what a subscriber sees that is connected to it throughout."""

    name: str
    mesh: Mesh
    started: float
    alive: bool = True
    paused_until: float = 0.0
    clock_error: float = 0.0
    """Seconds by which its time of day is wrong."""
    seen: dict[StreamId, int] = field(default_factory=lambda: defaultdict(int))
    delivered: set[tuple[StreamId, int]] = field(default_factory=set)
    gaps: list[tuple[StreamId, int, int]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    met: list[str] = field(default_factory=list)


class World:
    """Nodes, network, registry and time."""

    def __init__(self, seed: int, names: str = "abcd", **limits: Any) -> None:
        self.random = Random(seed)
        self.now = 1_000.0
        self.names = names
        self.runs: dict[str, Run] = {}
        self.ended: list[Run] = []
        self.trace: list[str] = []
        self.loss = self.duplication = 0.0
        self.slowness = 0.01
        """Longest way of a message in seconds."""
        self.cut: set[tuple[str, str]] = set()
        self.registry_up = True
        self.off_registry: set[str] = set()
        """Nodes that the registry does not hear."""
        self.acknowledged: set[tuple[StreamId, int]] = set()
        self.published: list[tuple[StreamId, int, float]] = []
        self.requests = 0
        self.bytes = 0
        self._limits = MeshLimits(**({"log_seconds": 120.0, "in_flight": 2, "batch_bytes": 400} | limits))
        self._leases: dict[str, float] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        for name in names:
            self.start(name)
        self._after(0.0, self._registry_turn)

    # --- what happens to nodes

    def start(self, name: str) -> None:
        """Start a node, with a new stream."""
        mesh = Mesh(
            node=name,
            stream=stream_id(name, self.now),
            location="here",
            address=f"http://{name}",
            limits=self._limits,
            uniform=self.random.uniform,
            snapshot=Snapshot,
        )
        run = self.runs[name] = Run(name, mesh, self.now)
        self._leases[name] = self.now + LEASE
        self.say(f"start {mesh.stream}")
        self._after(self.random.uniform(0, TICK), lambda: self._tick(run))

    def kill(self, name: str) -> None:
        """End a node without a word."""
        run = self.runs.pop(name)
        run.alive = False
        self.ended.append(run)
        self.say(f"kill {run.mesh.stream}")

    def pause(self, name: str, seconds: float) -> None:
        """Freeze a node: it does nothing and answers nothing, and then goes on as if nothing had been."""
        self.runs[name].paused_until = self.now + seconds
        self.say(f"pause {name} {seconds:.1f}")

    def publish(self, name: str) -> None:
        """Publish at a node."""
        run = self.runs[name]
        if run.paused_until > self.now:
            return
        at = int((self.now + run.clock_error) * 1000)
        message = run.mesh.append(Event(app="a", channels=["c"], name="n", data="x" * 40), self.now, at)
        self.published.append((run.mesh.stream, message.seq, self.now))
        self._act(run, [Deliver(run.mesh.stream, [message])])

    def say(self, line: str) -> None:
        """Add to the trace."""
        self.trace.append(f"{self.now - 1000:8.3f} {line}")

    # --- time

    def run_until(self, end: float) -> None:
        """Let all happen that is due before `end`."""
        while self._events and self._events[0][0] <= end:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = end

    def _after(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), event))

    def _when_awake(self, run: Run, event: Callable[[], None]) -> None:
        """Do it now, or when the node's pause is over, unless it has ended."""
        if run.paused_until > self.now:
            self._after(run.paused_until - self.now, lambda: self._when_awake(run, event))
        elif run.alive:
            event()

    def _tick(self, run: Run) -> None:
        def turn() -> None:
            self._act(run, run.mesh.tick(self.now))
            self._after(TICK, lambda: self._tick(run))

        self._when_awake(run, turn)

    # --- the registry

    def _registry_turn(self) -> None:
        if self.registry_up:
            for name, run in self.runs.items():
                if run.paused_until <= self.now and name not in self.off_registry:
                    self._leases[name] = self.now + LEASE
            members = [Member(name, f"http://{name}") for name, until in self._leases.items() if until > self.now]
        else:
            self._leases = dict.fromkeys(self._leases, self.now + LEASE)  # an outage removes nobody
            members = []
        for name, run in self.runs.items():
            hears = self.registry_up and name not in self.off_registry
            run.mesh.registry_reachable = hears
            if hears and run.paused_until <= self.now:
                run.mesh.set_members(members, self.now)
                self._pump(run)
        self._after(REGISTRY_DELAY, self._registry_turn)

    # --- the network

    def _pump(self, run: Run) -> None:
        for request in run.mesh.due(self.now):
            self._send(run, request)

    def _send(self, run: Run, request: Request) -> None:
        self.requests += 1
        raw = msgspec.msgpack.encode(request.body)
        self.bytes += len(raw)
        done = [False]

        def settle(outcome: Callable[[], list[Effect]]) -> None:
            def once() -> None:
                if not done[0]:
                    done[0] = True
                    self._act(run, outcome())

            self._when_awake(run, once)

        self._after(TIMEOUT, lambda: settle(lambda: run.mesh.failed(request, "timeout", self.now)))
        for _ in range(2 if self.random.random() < self.duplication else 1):
            if not self._lost(run.name, request.node):
                self._after(self._delay(), lambda: self._arrive(run, request, raw, settle))

    def _arrive(
        self, sender: Run, request: Request, raw: bytes, settle: Callable[[Callable[[], list[Effect]]], None]
    ) -> None:
        target = self.runs.get(request.node)
        if target is None:
            settle(lambda: sender.mesh.failed(request, "refused", self.now))
            return

        def receive() -> None:
            body: Any = msgspec.msgpack.decode(raw, type=type(request.body))
            try:
                answer = self._handle(target, body)
            except UnknownStream:
                greet = isinstance(body, Push)
                outcome = lambda: sender.mesh.failed(request, "unknown stream", self.now, greet=greet)  # noqa: E731
            except (Malformed, SameNode) as problem:
                raise Violation(f"{target.name} refused what {sender.name} sent: {problem}") from None
            else:
                outcome = lambda: sender.mesh.answered(request, answer, self.now)  # noqa: E731
            if not self._lost(request.node, sender.name):
                self._after(self._delay(), lambda: settle(outcome))

        self._when_awake(target, receive)

    def _handle(self, target: Run, body: Hello | Push | Pull | Goodbye) -> Any:
        if isinstance(body, Pull):
            return target.mesh.receive_pull(body)
        if isinstance(body, Goodbye):
            self._act(target, target.mesh.receive_goodbye(body))
            return None
        if isinstance(body, Hello):
            welcome, effects = target.mesh.receive_hello(body, self.now)
            self._act(target, effects)
            return welcome
        answer, effects = target.mesh.receive_push(body, self.now)
        self._act(target, effects)
        return answer

    def _lost(self, sender: str, receiver: str) -> bool:
        return (sender, receiver) in self.cut or self.random.random() < self.loss

    def _delay(self) -> float:
        return self.random.uniform(0.0005, self.slowness)

    # --- what nodes decide, and the promises

    def _act(self, run: Run, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Deliver(stream, messages):
                    for message in messages:
                        self._delivered(run, stream, message.seq)
                case Gap(stream, first, last):
                    if first != run.seen[stream] + 1:
                        raise Violation(f"{run.name}: gap {first}-{last} of {stream} after {run.seen[stream]}")
                    run.gaps.append((stream, first, last))
                    run.seen[stream] = last
                case PeerForgotten(node):
                    run.forgotten.append(node)
                case PeerSnapshot(node):
                    run.met.append(node)
        own = run.mesh.stream
        known = max((seq for stream, seq in self.acknowledged if stream == own), default=0) if effects else 0
        for seq in range(known + 1, run.mesh.log.last + 1):
            if not run.mesh.holders(own, seq):
                break
            self.acknowledged.add((own, seq))
        self._pump(run)

    def _delivered(self, run: Run, stream: StreamId, seq: int) -> None:
        if (stream, seq) in run.delivered:
            raise Violation(f"{run.name} delivered {stream}:{seq} twice")
        seen = run.seen[stream]
        if seen and seq != seen + 1:
            raise Violation(f"{run.name} delivered {stream}:{seq} after {seen}")
        run.seen[stream] = seq
        run.delivered.add((stream, seq))

    def check_end(self) -> None:
        """After everything has healed: what was acknowledged and is still held somewhere was delivered everywhere."""
        held = {key for run in self.runs.values() for key in run.delivered}
        for stream, seq, at in self.published:
            key = (stream, seq)
            if key not in self.acknowledged or key not in held:
                continue
            for run in self.runs.values():
                if run.started <= at and key not in run.delivered:
                    raise Violation(f"{run.name} never delivered {stream}:{seq}, which was acknowledged")
        positions = {
            tuple(sorted((stream, seq) for stream, seq in run.mesh.position().items() if seq))
            for run in self.runs.values()
        }
        if len(positions) > 1:
            raise Violation(f"positions differ after all has healed: {positions}")
        for run in self.runs.values():
            if run.gaps:
                raise Violation(f"{run.name} counted gaps {run.gaps} though the logs are long enough")
            if sorted(run.mesh.up()) != sorted(name for name in self.runs if name != run.name):
                raise Violation(f"{run.name} sees only {run.mesh.up()} up")

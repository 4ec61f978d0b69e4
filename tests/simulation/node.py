"""One run of one node: the real mesh, hub and sessions, put together as `app.py` and `mesh_service.py` do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, cast

from tests.simulation.clock import Clock
from tests.simulation.network import Network
from tests.simulation.registry import ROUND, Registry
from tests.simulation.skew import Novelty, of_next_version
from wsnode.domain import close_codes
from wsnode.domain.acks import Acknowledgements, Acks, Waiting, enough
from wsnode.domain.close_codes import Close
from wsnode.domain.directory import Directory
from wsnode.domain.effects import Deliver, Effect, Gap, PeerConnections, PeerForgotten, PeerSnapshot
from wsnode.domain.history import History
from wsnode.domain.hub import Effects, Hub
from wsnode.domain.mesh import Member, Mesh, MeshLimits
from wsnode.domain.messages import Event, Payload, StreamId, stream_id
from wsnode.domain.readiness import Situation, reasons_against
from wsnode.domain.session import Session
from wsnode.domain.wire import Goodbye, Hello, HelloAnswer, Pull, Pulled, Push, PushAnswer

if TYPE_CHECKING:
    from tests.simulation.link import Link
    from tests.simulation.model import Model

TICK = 0.25
HUB_TICK = 4
"""Ticks between two of the hub's."""
JOIN_SECONDS = 15.0
ACK_TIMEOUT = 2.0
DRAIN_SECONDS = 1.5
SETTLE_SECONDS = 5.0
EPOCH = 1_700_000_000.0

Settle = Callable[[str, list[str]], None]
"""Given the event id and the nodes that hold it, or "" and nothing: too few said so in time."""


@dataclass
class Disk:
    """What is left of a node's runs."""

    run: StreamId | None = None
    """The last run that the registry took."""
    stream: StreamId | None = None
    """The last run."""
    members: list[Member] = field(default_factory=list)


@dataclass(frozen=True)
class Surroundings:
    """What all nodes of a world share."""

    clock: Clock
    network: Network
    registry: Registry
    directory: Directory
    limits: MeshLimits
    history_bytes: int
    random: Random
    model: Model


class Node:
    """`version` 1 is what is tested; 2 stands for the next one, which says more than this one understands."""

    def __init__(self, name: str, around: Surroundings, disk: Disk, *, clock_error: float = 0.0, version: int = 1):
        self.name = name
        self.disk = disk
        self.alive = True
        self.ready = False
        self.draining = False
        self.paused_until = 0.0
        self.clock_error = clock_error
        self.version = version
        self.started = around.clock.now
        self.links: dict[Link, Session] = {}
        self.stream = disk.stream = stream_id(name, self.time_of_day(around.clock.now), disk.stream)
        self._clock, self._network, self._registry, self._model = (
            around.clock,
            around.network,
            around.registry,
            around.model,
        )
        self.hub = Hub(
            self.stream,
            around.directory,
            History(around.limits.log_seconds, around.history_bytes),
            position=lambda: self.mesh.delivered(),
            floors=lambda: self.mesh.floors(),
            time_of_day=lambda: self.time_of_day(self._clock.now),
        )
        self.mesh = Mesh(
            node=name,
            stream=self.stream,
            location="here",
            address=f"http://{name}",
            limits=around.limits,
            uniform=around.random.uniform,
            snapshot=lambda: self.hub.snapshot(),
        )
        self._join_seconds = min(JOIN_SECONDS, around.limits.log_seconds / 3)
        self._joined = False
        self._acknowledgements = Acknowledgements()
        self._pump_due = False
        self._configured: float | None = None
        self._ticks = 0
        self._clock.after(around.random.uniform(0, TICK), self._tick)
        self._clock.after(around.random.uniform(0, 0.05), self._beat)

    # --- running

    def time_of_day(self, now: float) -> float:
        """What this node takes for the time."""
        return EPOCH + now + self.clock_error

    def when_awake(self, do: Callable[[], object]) -> None:
        """Do it now, or when the pause is over; never after the end."""
        if self.paused_until > self._clock.now:
            self._clock.after(self.paused_until - self._clock.now, lambda: self.when_awake(do))
        elif self.alive:
            do()

    def act(self, effects: Iterable[Effect]) -> None:
        """Do what the mesh decided, and what follows from it."""
        self._apply(effects)
        if self._acknowledgements:
            self._acknowledgements.check(self.mesh.holders, self.mesh.up())
        self._pump_soon()

    def _apply(self, effects: Iterable[Effect]) -> None:
        now = self._clock.now
        for effect in effects:
            match effect:
                case Deliver(stream, messages):
                    for message in messages:
                        self._model.delivered(self, stream, message)
                        self._do(self.hub.deliver(stream, message, now))
                case PeerSnapshot(node, stream, seq, snapshot):
                    self._do(self.hub.replace_node(node, stream, seq, snapshot, now))
                case PeerConnections(node, connections):
                    self.hub.set_remote_connections(node, connections)
                case PeerForgotten(node):
                    self._do(self.hub.forget_node(node, now))
                case Gap(stream, first, last):
                    self._model.gap(self, stream, first, last)

    def end(self) -> None:
        """End without a word, as a crash or a power cut does."""
        self.alive = self.ready = False
        del self._network.nodes[self.name]
        for link in list(self.links):
            link.node_ended()
        self.links.clear()

    def drain(self) -> None:
        """Leave in order: move the clients on, hand the log over, say goodbye."""
        self.draining, self.ready = True, False
        for place, link in enumerate(list(self.links)):
            self._clock.after(DRAIN_SECONDS * place / len(self.links), lambda link=link: self._move_on(link))  # type: ignore[misc]
        until = self._clock.now + DRAIN_SECONDS + SETTLE_SECONDS
        self._clock.after(DRAIN_SECONDS, lambda: self.when_awake(lambda: self._leave(until)))

    # --- publishers

    def publish(self, event: Event, acks: Acks | None, settle: Settle) -> None:
        """What `Publishing` and `MeshService` do with one event."""
        known = self.hub.keys.find(event)
        stream, seq = (self.stream, self.append(event)) if known is None else (known.stream, known.seq)
        up = self.mesh.up()
        wanted = min(1, len(up)) if acks is None else acks
        held_by = self.mesh.holders(stream, seq)
        if enough(wanted, held_by, set(up)):
            settle(f"{stream}:{seq}", held_by)
            return
        waiting = Waiting(stream, seq, wanted, lambda held_by: settle(f"{stream}:{seq}", held_by))
        self._acknowledgements.wait(waiting)

        def give_up() -> None:
            if waiting in self._acknowledgements._waiting:
                self._acknowledgements.give_up(waiting)
                settle("", [])

        self._clock.after(ACK_TIMEOUT, lambda: self.when_awake(give_up))

    def append(self, payload: Payload) -> int:
        """Put a payload on the own stream and hand it to the own hub."""
        now = self._clock.now
        message = self.mesh.append(payload, now, int(self.time_of_day(now) * 1000))
        if isinstance(payload, Event):
            self._model.accepted(self.stream, message.seq, payload)
        self._apply([Deliver(self.stream, [message])])
        self._pump_soon()
        return message.seq

    def innovate(self) -> None:
        """Say what only the next version knows, and what its own hub therefore makes something of."""
        now = self._clock.now
        message = self.mesh.append(cast("Payload", Novelty()), now, int(self.time_of_day(now) * 1000))
        self._model.delivered(self, self.stream, message)
        self._pump_soon()

    # --- clients

    def open(self, link: Link, session: Session) -> None:
        """A client's connection is there."""
        self.links[link] = session
        session.edge = link
        self.hub.add(session)

    def hear(self, link: Link, text: str) -> None:
        """A client says something."""
        session = self.links.get(link)
        if session is None:
            return
        reply = session.received(text, self._clock.now)
        for channel in session.channels - link.floors.keys():
            link.floors[channel] = self.mesh.floors()
        link.answer(reply.frames, reply.missed)
        if reply.close is not None:
            self.close(link, reply.close)
        self._after_change()

    def close(self, link: Link, close: Close) -> None:
        """End a client's connection with a code, after what was written to it."""
        link.closing(close)
        self.lose(link)

    def lose(self, link: Link) -> None:
        """A client's connection has ended."""
        session = self.links.pop(link, None)
        if session is not None:
            self.hub.remove(session, self._clock.now)
            self._after_change()

    # --- other nodes

    def receive(self, body: Hello | Push | Pull | Goodbye) -> HelloAnswer | PushAnswer | Pulled | None:
        """Answer a request of a peer. Raises as the mesh does."""
        if isinstance(body, Pull):
            return self.mesh.receive_pull(body)
        if isinstance(body, Goodbye):
            self.act(self.mesh.receive_goodbye(body))
            return None
        answer: HelloAnswer | PushAnswer
        if isinstance(body, Hello):
            answer, effects = self.mesh.receive_hello(body, self._clock.now)
        else:
            answer, effects = self.mesh.receive_push(body, self._clock.now)
        self.act(effects)
        return answer

    def worded(self, body: Any) -> Any:
        """A request as this version words it."""
        return body if self.version == 1 else of_next_version(body)

    # ---

    def _do(self, effects: Effects) -> None:
        for frame, sessions, exclude in effects.deliveries:
            for session in sessions:
                if session.socket_id != exclude:
                    session.edge.pending.append(frame)
        for session, close in effects.closes:
            session.edge.close(close)
        if effects.deliveries:
            for link in self.links:  # in their own order: that of a set differs from run to run
                if link.pending:
                    link.flush()

    def _after_change(self) -> None:
        waiting = self.hub.announcements
        while waiting:
            self.append(waiting.pop(0))

    def _tick(self) -> None:
        self.when_awake(self._turn)

    def _turn(self) -> None:
        now = self._clock.now
        self.act(self.mesh.tick(now))
        self._ticks += 1
        if self._ticks % HUB_TICK == 0:
            self._do(self.hub.tick(now))
            self._after_change()
            self.hub.sweep(now)
        if not self.draining:
            if not self.ready and self._configured is not None:
                late = now - self._configured > self._join_seconds
                self._joined = self.mesh.warm() or late or self._joined
            self.ready = not self.reasons()
        self._clock.after(TICK, self._tick)

    def reasons(self) -> list[str]:
        """Why it is not ready."""
        return reasons_against(
            Situation(
                configured=self._configured is not None,
                joined=self._joined,
                draining=self.draining,
                refused=None,
                registry_reachable=self.mesh.registry_reachable,
                registry_problem="",
                peers_expected=len(self.mesh.peers),
                peers_up=len(self.mesh.up()),
            )
        )

    def _beat(self) -> None:
        self.when_awake(self._ask_registry)

    def _ask_registry(self) -> None:
        reached = self._registry.reached_by(self.name)
        self.mesh.registry_reachable = reached
        members = self._registry.beat(self) if reached and not self.draining else None
        if members is not None:
            self.disk.run, self.disk.members = self.stream, members
        elif not reached and self._configured is None and self.disk.members:
            members = self.disk.members
        if members is not None:
            if self._configured is None:
                self._configured = self._clock.now
            self.mesh.set_members(members, self._clock.now)
            self._pump_soon()
        self._clock.after(ROUND, self._beat)

    def _pump_soon(self) -> None:
        """Send at the end of this moment, as the node does at the end of a turn of its loop."""
        if not self._pump_due:
            self._pump_due = True
            self._clock.after(0.0, self._pump)

    def _pump(self) -> None:
        self._pump_due = False
        if self.alive:
            for request in self.mesh.due(self._clock.now):
                self._network.send(self, request)

    def _move_on(self, link: Link) -> None:
        if link in self.links:
            self.when_awake(lambda: self.close(link, close_codes.DRAINING))

    def _leave(self, until: float) -> None:
        if not self.mesh.settled() and self._clock.now < until:
            self._clock.after(TICK, lambda: self.when_awake(lambda: self._leave(until)))
            return
        if self._registry.reached_by(self.name):
            self._registry.leave(self)
        for request in self.mesh.farewell():
            self._network.send(self, request)
        self.end()

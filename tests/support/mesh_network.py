"""A few meshes and a network between them that loses, delays and cuts, on a clock that the test moves."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from wsnode.domain.effects import (
    Deliver,
    Effect,
    Gap,
    PeerChanged,
    PeerConnections,
    PeerForgotten,
    PeerSnapshot,
    Request,
)
from wsnode.domain.mesh import Member, Mesh, MeshLimits, UnknownStream
from wsnode.domain.messages import Event, Message, StreamId, stream_id
from wsnode.domain.wire import Goodbye, Hello, HelloAnswer, Pull, Pulled, Push, PushAnswer, Snapshot


def event(text: str) -> Event:
    """A publish whose data is `text`."""
    return Event(app="a", channels=["c"], name="n", data=text)


@dataclass
class SimNode:
    """One run of a node, and what it was told."""

    mesh: Mesh
    received: dict[StreamId, list[int]] = field(default_factory=lambda: defaultdict(list))
    states: list[tuple[str, str]] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    snapshots: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    clients: dict[str, int] = field(default_factory=dict)
    """Its connections by app, which the test sets."""
    clients_of: dict[str, dict[str, int]] = field(default_factory=dict)
    """The connections of other nodes, as it was told."""

    def act(self, effects: list[Effect]) -> None:
        """Note what the mesh decided."""
        for effect in effects:
            match effect:
                case Deliver(stream, messages):
                    self.received[stream] += [message.seq for message in messages]
                case PeerChanged(node, state, _):
                    self.states.append((node, state))
                case Gap(_, first, last):
                    self.gaps.append((first, last))
                case PeerSnapshot(node):
                    self.snapshots.append(node)
                case PeerForgotten(node):
                    self.forgotten.append(node)
                case PeerConnections(node, connections):
                    self.clients_of[node] = connections


class Network:
    """Carries requests in whole; `cut` holds (from, to) pairs that do not hear each other."""

    def __init__(self, names: str, seed: int = 0, **limits: Any) -> None:
        self.now = 1000.0
        self.random = Random(seed)
        self.limits = MeshLimits(**limits)
        self.nodes: dict[str, SimNode] = {}
        self.cut: set[tuple[str, str]] = set()
        self.loss = 0.0
        self.answer_loss = 0.0
        self.requests = 0
        for name in names:
            self.start(name)

    def start(self, name: str) -> SimNode:
        """Start a node, or start it again after `kill`."""
        clients: dict[str, int] = {}
        mesh = Mesh(
            node=name,
            stream=stream_id(name, self.now),
            location="here",
            address=f"http://{name}",
            limits=self.limits,
            uniform=self.random.uniform,
            snapshot=Snapshot,
            connections=lambda: dict(clients),
        )
        self.nodes[name] = SimNode(mesh, clients=clients)
        self.set_members()
        return self.nodes[name]

    def kill(self, name: str) -> None:
        """End a node without a word."""
        del self.nodes[name]

    def set_members(self, *, without: str = "") -> None:
        """What a registry would say: all nodes that run, but those in `without`."""
        members = [Member(name, f"http://{name}") for name in self.nodes if name not in without]
        for node in self.nodes.values():
            node.mesh.set_members(members, self.now)

    def publish(self, name: str, text: str = "x") -> Message:
        """Publish at a node."""
        return self.nodes[name].mesh.append(event(text), self.now, int(self.now * 1000))

    def turn(self) -> int:
        """Send all that is due and carry the answers back; returns the number of requests."""
        sent = 0
        for name, node in list(self.nodes.items()):
            for request in node.mesh.due(self.now):
                sent += 1
                self._carry(name, node, request)
        self.requests += sent
        return sent

    def settle(self) -> None:
        """Turn until nothing is due at this moment."""
        for _ in range(200):
            if not self.turn():
                return
        raise AssertionError("the mesh never comes to rest")

    def advance(self, seconds: float, step: float = 0.1) -> None:
        """Let time pass in steps, with all that becomes due."""
        for _ in range(round(seconds / step)):
            self.now += step
            for node in self.nodes.values():
                node.act(node.mesh.tick(self.now))
            self.turn()

    def _carry(self, name: str, node: SimNode, request: Request) -> None:
        target = self.nodes.get(request.node)
        lost = target is None or (name, request.node) in self.cut or self.random.random() < self.loss
        if lost or target is None:
            node.act(node.mesh.failed(request, "lost", self.now))
            return
        try:
            answer = self._receive(target, request.body)
        except UnknownStream:
            node.act(node.mesh.failed(request, "hello first", self.now, greet=True))
            return
        if (request.node, name) in self.cut or self.random.random() < self.answer_loss:
            node.act(node.mesh.failed(request, "answer lost", self.now))
        elif answer is not None:
            node.act(node.mesh.answered(request, answer, self.now))

    def _receive(
        self, target: SimNode, body: Hello | Push | Pull | Goodbye
    ) -> HelloAnswer | PushAnswer | Pulled | None:
        decoded: Any = msgspec.msgpack.decode(msgspec.msgpack.encode(body), type=type(body))
        if isinstance(decoded, Hello):
            answer, effects = target.mesh.receive_hello(decoded, self.now)
            target.act(effects)
            return answer
        if isinstance(decoded, Push):
            pushed, effects = target.mesh.receive_push(decoded, self.now)
            target.act(effects)
            return pushed
        if isinstance(decoded, Pull):
            return target.mesh.receive_pull(decoded)
        target.act(target.mesh.receive_goodbye(decoded))
        return None

"""The ways between nodes: requests and answers that are lost, late, doubled, overtaken, or cut off in one direction."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from tests.simulation.clock import Clock
from tests.simulation.violation import Violation
from wsnode.domain.effects import Effect, Request
from wsnode.domain.inbox import Malformed
from wsnode.domain.mesh import SameNode, UnknownStream
from wsnode.domain.wire import Push

if TYPE_CHECKING:
    from tests.simulation.node import Node

TIMEOUT = 3.0
"""Seconds until a node takes a request for failed."""
LEAST_DELAY = 0.0005

_encode = msgspec.msgpack.Encoder().encode

Outcome = Callable[[], list[Effect]]


class Network:
    """Carries requests between the nodes that run, encoded as they are on the wire."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self.nodes: dict[str, Node] = {}
        """The running nodes by name."""
        self.cut: set[tuple[str, str]] = set()
        """(from, to) pairs between which nothing passes."""
        self.loss = self.duplication = 0.0
        self.slowness = 0.01
        """The longest way of a request or an answer in seconds."""
        self.slow: set[str] = set()
        """Nodes whose every request and answer takes a second more."""
        self.requests = self.bytes = 0
        self.weigh: Callable[[Request, bytes, bytes], object] | None = None
        """Given each request that was answered, as they travelled."""
        self._clock = clock
        self._random = random
        self._decoders: dict[type, msgspec.msgpack.Decoder[Any]] = {}

    def heal(self) -> None:
        """All ways are quick and safe again."""
        self.cut, self.slow = set(), set()
        self.loss = self.duplication = 0.0
        self.slowness = 0.01

    def send(self, sender: Node, request: Request) -> None:
        """Send a request; its outcome is told to the sender's mesh."""
        raw = _encode(sender.worded(request.body))
        self.requests += 1
        self.bytes += len(raw)
        settled = False

        def settle(outcome: Outcome) -> None:
            def once() -> None:
                nonlocal settled
                if not settled:
                    settled = True
                    sender.act(outcome())

            sender.when_awake(once)

        def time_out() -> None:
            if not settled and sender.alive:
                settle(lambda: sender.mesh.failed(request, "timeout", self._clock.now))

        self._clock.after(TIMEOUT, time_out)
        copies = 2 if self.duplication and self._random.random() < self.duplication else 1
        for _ in range(copies):
            if self.passes(sender.name, request.node):
                self._clock.after(
                    self.delay(sender.name, request.node), lambda: self._arrive(sender, request, raw, settle)
                )

    def passes(self, sender: str, receiver: str) -> bool:
        """Whether one thing that is sent now arrives."""
        if (sender, receiver) in self.cut:
            return False
        return not self.loss or self._random.random() >= self.loss

    def delay(self, sender: str, receiver: str) -> float:
        """Seconds that one thing is under way."""
        late = 1.0 if sender in self.slow or receiver in self.slow else 0.0
        return late + LEAST_DELAY + self.slowness * self._random.random()

    def _arrive(self, sender: Node, request: Request, raw: bytes, settle: Callable[[Outcome], None]) -> None:
        target = self.nodes.get(request.node)
        if target is None:
            settle(lambda: sender.mesh.failed(request, "refused", self._clock.now))
            return

        def receive() -> None:
            outcome: Outcome
            try:
                answer = target.receive(self._decoded(type(request.body), raw))
            except UnknownStream:
                greet = isinstance(request.body, Push)
                outcome = lambda: sender.mesh.failed(request, "unknown stream", self._clock.now, greet=greet)  # noqa: E731
            except (Malformed, SameNode) as problem:
                raise Violation(f"{target.name} refused what {sender.name} sent: {problem}") from None
            else:
                if answer is None:
                    return
                outcome = lambda: sender.mesh.answered(request, answer, self._clock.now)  # noqa: E731
                if self.weigh is not None:
                    self.weigh(request, raw, _encode(answer))
            if self.passes(request.node, sender.name):
                self._clock.after(self.delay(request.node, sender.name), lambda: settle(outcome))

        target.when_awake(receive)

    def _decoded(self, shape: type, raw: bytes) -> Any:
        decoder = self._decoders.get(shape)
        if decoder is None:
            decoder = self._decoders[shape] = msgspec.msgpack.Decoder(shape)
        return decoder.decode(raw)

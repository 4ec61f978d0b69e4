"""The simulation bites: each fault put into the code under test is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.simulation import world
from tests.simulation.scenario import play
from tests.simulation.world import Violation
from wsnode.domain.inbox import Inbox
from wsnode.domain.mesh import Mesh
from wsnode.domain.messages import Message
from wsnode.domain.peer import Peer
from wsnode.domain.streams import Streams
from wsnode.domain.wire import PushAnswer

ENOUGH = 300
"""Seeds within which each fault must be found."""

Fault = Callable[[pytest.MonkeyPatch], None]
FAULTS: dict[str, Fault] = {}


def fault(make: Fault) -> Fault:
    FAULTS[make.__name__] = make
    return make


@fault
def deliver_repeated_messages_again(patch: pytest.MonkeyPatch) -> None:
    original = Inbox.receive

    def receive(self: Inbox, after: int, raws: list[Any], now: float) -> list[Message]:
        again = [message for message, _ in self._checked(after, raws) if message.seq <= self.have]
        return again + original(self, after, raws, now)

    patch.setattr(Inbox, "receive", receive)


@fault
def acknowledge_what_was_not_kept(patch: pytest.MonkeyPatch) -> None:
    original = Mesh.receive_push

    def receive_push(self: Mesh, push: Any, now: float) -> Any:
        if push.messages and int(now * 1000) % 20 == 0:
            self.streams.inboxes[push.stream].log.skip_to(push.after + len(push.messages))
            return PushAnswer(self.stream, self.position()), []
        return original(self, push, now)

    patch.setattr(Mesh, "receive_push", receive_push)


@fault
def use_the_same_stream_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(world, "stream_id", lambda name, _: f"{name}~1")


@fault
def forget_the_hold_back(patch: pytest.MonkeyPatch) -> None:
    def receive(self: Inbox, after: int, raws: list[Any], now: float) -> list[Message]:
        delivered: list[Message] = []
        for message, raw in self._checked(after, raws):
            if message.seq > self.have:
                self.log.skip_to(message.seq - 1)
                self._take(message, raw, now, delivered)
        self._advanced(delivered, now)
        return delivered

    patch.setattr(Inbox, "receive", receive)


@fault
def never_pull(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Streams, "due", lambda *_: [])


def _never_back(self: Peer, seq: int, now: float) -> None:
    self.last_answer = now
    self.failures = 0
    self.cursor = self.sent = max(self.cursor, seq)


@fault
def keep_the_cursor_of_a_peers_former_run(patch: pytest.MonkeyPatch) -> None:
    original = Mesh._meet

    def meet(self: Mesh, peer: Peer, *rest: Any) -> Any:
        cursor = peer.cursor
        effects = original(self, peer, *rest)
        peer.cursor = max(cursor, peer.cursor)
        return effects

    patch.setattr(Mesh, "_meet", meet)
    patch.setattr(Peer, "acknowledged", _never_back)


@fault
def forget_a_dead_nodes_stream(patch: pytest.MonkeyPatch) -> None:
    original = Streams.tick

    def tick(self: Streams, now: float, present: set[str]) -> None:
        original(self, now, present)
        for stream in [stream for stream in self.inboxes if stream not in present]:
            del self.inboxes[stream]

    patch.setattr(Streams, "tick", tick)


@fault
def acknowledge_what_is_held_back(patch: pytest.MonkeyPatch) -> None:
    original = Mesh.receive_push

    def receive_push(self: Mesh, push: Any, now: float) -> Any:
        answer, effects = original(self, push, now)
        held = self.streams.inboxes[push.stream]._held
        if held:
            answer = PushAnswer(answer.stream, answer.position | {push.stream: max(held)})
        return answer, effects

    patch.setattr(Mesh, "receive_push", receive_push)
    patch.setattr(Streams, "due", lambda *_: [])
    patch.setattr(Peer, "acknowledged", _never_back)


@fault
def begin_a_stream_where_it_is_now(patch: pytest.MonkeyPatch) -> None:
    original = Streams.meet

    def meet(self: Streams, stream: str, last: int, now: float) -> None:
        known = stream in self.inboxes
        original(self, stream, last, now)
        if not known:
            self.inboxes[stream].log.skip_to(last)

    patch.setattr(Streams, "meet", meet)


@pytest.fixture(params=FAULTS)
def injected(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One fault, in force during the test."""
    FAULTS[request.param](monkeypatch)
    yield request.param


def test_an_injected_fault_is_found(injected: str) -> None:
    """With a fault in the code under test the simulation reports a broken promise."""
    for seed in range(ENOUGH):
        try:
            play(seed)
        except Violation:
            return
    pytest.fail(f"{ENOUGH} seeds do not notice: {injected}")

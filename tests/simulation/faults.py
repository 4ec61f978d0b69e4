"""Deliberate faults for the code under test: each is a mistake that someone could make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.simulation import node
from wsnode.domain import inbox, resuming
from wsnode.domain.channel import Channel
from wsnode.domain.events import Events
from wsnode.domain.frames import position_told
from wsnode.domain.history import History
from wsnode.domain.hub import Delivery, Effects, Hub
from wsnode.domain.inbox import Inbox, Malformed
from wsnode.domain.mesh import Mesh
from wsnode.domain.messages import Event, Message, StreamId, stream_id
from wsnode.domain.presence import Change, Presence
from wsnode.domain.resuming import Resuming
from wsnode.domain.runs import Runs
from wsnode.domain.streams import Streams
from wsnode.domain.wire import PushAnswer, Snapshot

Fault = Callable[[pytest.MonkeyPatch], None]
FAULTS: dict[str, tuple[Fault, int]] = {}
"""Each by its name, with a seed that finds it."""


def fault(seed: int) -> Callable[[Fault], Fault]:
    """A fault, and a seed that is known to find it."""

    def keep(make: Fault) -> Fault:
        FAULTS[make.__name__] = make, seed
        return make

    return keep


# --- streams


@fault(0)
def deliver_repeated_messages_again(patch: pytest.MonkeyPatch) -> None:
    original = Inbox.receive

    def receive(self: Inbox, after: int, raws: list[Any], now: float) -> list[Message]:
        again = [message for message, _ in self._checked(after, raws) if message.seq <= self.have]
        return again + original(self, after, raws, now)

    patch.setattr(Inbox, "receive", receive)


@fault(0)
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


@fault(14)
def use_a_stream_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(node, "stream_id", lambda name, at, _: stream_id(name, at))


@fault(0)
def never_pull(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Streams, "due", lambda *_: [])


@fault(0)
def forget_a_dead_nodes_stream(patch: pytest.MonkeyPatch) -> None:
    original = Streams.tick

    def tick(self: Streams, now: float, present: set[str]) -> None:
        original(self, now, present)
        for stream in [stream for stream in self.inboxes if stream not in present]:
            del self.inboxes[stream]

    patch.setattr(Streams, "tick", tick)


@fault(4)
def begin_a_stream_where_it_is_now(patch: pytest.MonkeyPatch) -> None:
    original = Streams.meet

    def meet(self: Streams, stream: str, last: int, now: float) -> None:
        known = stream in self.inboxes
        original(self, stream, last, now)
        if not known:
            self.inboxes[stream].log.skip_to(last)

    patch.setattr(Streams, "meet", meet)


@fault(0)
def stop_at_what_a_newer_version_says(patch: pytest.MonkeyPatch) -> None:
    decode = msgspec.msgpack.Decoder(Message).decode
    original = Mesh.receive_push

    def receive_push(self: Mesh, push: Any, now: float) -> Any:
        try:
            return original(self, push, now)
        except Malformed:
            return PushAnswer(self.stream, self.position()), []

    patch.setattr(inbox, "message_of", decode)
    patch.setattr(Mesh, "receive_push", receive_push)


# --- acknowledgements


@fault(0)
def acknowledge_what_was_not_kept(patch: pytest.MonkeyPatch) -> None:
    original = Mesh.receive_push

    def receive_push(self: Mesh, push: Any, now: float) -> Any:
        if push.messages and int(now * 1000) % 20 == 0:
            self.streams.inboxes[push.stream].log.skip_to(push.after + len(push.messages))
            return PushAnswer(self.stream, self.position()), []
        return original(self, push, now)

    patch.setattr(Mesh, "receive_push", receive_push)


@fault(1)
def acknowledge_before_it_is_in_order(patch: pytest.MonkeyPatch) -> None:
    original = Mesh.receive_push

    def receive_push(self: Mesh, push: Any, now: float) -> Any:
        answer, effects = original(self, push, now)
        held = self.streams.inboxes[push.stream]._held
        if held:
            answer = PushAnswer(answer.stream, answer.position | {push.stream: max(held)})
        return answer, effects

    patch.setattr(Mesh, "receive_push", receive_push)


@fault(0)
def answer_before_there_are_enough_acknowledgements(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(node, "enough", lambda *_: True)


# --- idempotency


@fault(1)
def keep_idempotency_keys_to_the_own_node(patch: pytest.MonkeyPatch) -> None:
    original = Events.take

    def take(self: Events, event: Event, stream: StreamId, *rest: Any) -> list[Delivery]:
        if event.key is not None and stream != self.own:  # type: ignore[attr-defined]
            event = msgspec.structs.replace(event, key=None)
        return original(self, event, stream, *rest)

    def began(self: Hub, stream: StreamId, *rest: Any, **named: Any) -> None:
        build(self, stream, *rest, **named)
        self._events.own = stream  # type: ignore[attr-defined]

    build = Hub.__init__
    patch.setattr(Hub, "__init__", began)
    patch.setattr(Events, "take", take)


# --- resuming


@fault(0)
def say_recovered_though_there_is_a_hole(patch: pytest.MonkeyPatch) -> None:
    original = History.missed

    def missed(self: History, key: Any, position: Any, known: Any, floors: Any) -> Any:
        found = original(self, key, position, known, floors)
        if found is None:
            channel = self._channels.get(key)
            entries = channel.entries if channel is not None else ()
            return [entry for entry in entries if position.get(entry.stream, 0) < entry.seq]
        return found

    patch.setattr(History, "missed", missed)


@fault(9)
def never_say_recovered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(History, "missed", lambda *_: None)


@fault(0)
def forget_what_was_dropped_from_a_history(patch: pytest.MonkeyPatch) -> None:
    original = History._drop

    def drop(self: History, channel: Any) -> None:
        floors = dict(channel.floors)
        original(self, channel)
        channel.floors.clear()
        channel.floors.update(floors)

    patch.setattr(History, "_drop", drop)


@fault(38)
def forget_what_never_came(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Mesh, "floors", lambda _: {})


@fault(0)
def replay_what_the_client_has_seen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("wsnode.domain.history._seen", lambda *_: False)


@fault(0)
def deliver_what_the_client_has_seen_elsewhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Channel, "receivers", lambda self, *_: self.sessions)


@fault(0)
def give_the_position_before_what_was_missed(patch: pytest.MonkeyPatch) -> None:
    original = Resuming.resume

    def resume(self: Resuming, *given: Any) -> Any:
        resumed = original(self, *given)
        return resumed._replace(missed=[*resumed.missed[-1:], *resumed.missed[:-1]])

    patch.setattr(resuming.Resuming, "resume", resume)


@fault(1)
def tell_a_client_that_is_ahead_the_nodes_position(patch: pytest.MonkeyPatch) -> None:
    def tell(self: Resuming, now: float) -> list[Delivery]:
        sessions = self._rota.due(now)
        return [Delivery(position_told(self._position()), sessions)] if sessions else []

    patch.setattr(Resuming, "tell", tell)


# --- presence and counts


@fault(6)
def lose_the_leaves_of_members(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Presence, "leave", lambda *_: [])


@fault(1)
def keep_the_members_of_a_node_that_is_gone(patch: pytest.MonkeyPatch) -> None:
    def forget_node(self: Hub, name: str, now: float) -> Any:
        self._sessions.forget_node(name)
        return Effects()

    patch.setattr(Hub, "forget_node", forget_node)


@fault(5)
def believe_a_notice_of_a_former_run(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Runs, "counts", lambda *_: True)


@fault(2)
def greet_without_a_snapshot(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Hub, "snapshot", lambda _: Snapshot())


@fault(1)
def tell_of_a_member_that_was_there(patch: pytest.MonkeyPatch) -> None:
    original = Presence.join

    def join(self: Presence, name: str, joined: Any) -> Any:
        was = self.has((joined.app, joined.channel), joined.user)
        changes = original(self, name, joined)
        return [Change((joined.app, joined.channel), joined.user, "{}")] if was else changes

    patch.setattr(Presence, "join", join)

"""Clients that resume: what they have missed, what they have seen before this node, and when they are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from wsnode.domain.channel import Ahead, Channel
from wsnode.domain.deliveries import Delivery
from wsnode.domain.events import encoded
from wsnode.domain.frames import position_told
from wsnode.domain.history import Entry, History, Key
from wsnode.domain.messages import Event, StreamId
from wsnode.domain.position import MAX_STREAMS, WrongPosition, ahead_of
from wsnode.domain.rota import Rota
from wsnode.domain.subscriptions import Subscriptions

if TYPE_CHECKING:
    from wsnode.domain.session import Session

MAX_AHEAD = 4 * MAX_STREAMS
"""Numbers that are kept at most for a session that has seen what is not here yet."""


class Start(NamedTuple):
    """A client's position when it subscribes, this node's, and where the client is ahead of it.

    Nobody can have seen more of this node's own stream than it said: `possible` is False if the client says so.
    """

    position: dict[StreamId, int]
    known: dict[StreamId, int]
    ahead: dict[StreamId, int]
    possible: bool


class Resumed(NamedTuple):
    """What a client that resumes is told with the answer, and what follows: the events missed, then its position."""

    data: dict[str, Any]
    recovered: bool
    missed: list[bytes]


class Resuming:
    """`position` is how far each stream has been delivered here, `floors` up to where each may be incomplete here; the
    node's `own` stream is one of them.
    """

    def __init__(
        self,
        own: StreamId,
        history: History,
        subscriptions: Subscriptions,
        position: Callable[[], dict[StreamId, int]],
        floors: Callable[[], Mapping[StreamId, int]],
    ) -> None:
        self.replayed = 0
        """Events that clients had missed and got when they resumed."""
        self._own = own
        self._history = history
        self._subscriptions = subscriptions
        self._position = position
        self._floors = floors
        self._rota = Rota(history.max_seconds)

    def start(self, session: Session, position: dict[StreamId, int]) -> Start:
        """Look at a position that a client sends with a subscribe. Raises WrongPosition; changes nothing."""
        known = self._position()
        ahead = ahead_of(position, known)
        possible = ahead.pop(self._own, None) is None
        if not possible:
            position = {stream: seq for stream, seq in position.items() if stream != self._own}
        if ahead:
            channels = self._subscriptions.of(session.app_id)
            there = (channels[name].ahead.get(session) for name in session.channels)
            if len(ahead) + sum(len(it.numbers) for it in there if it is not None) > MAX_AHEAD:
                raise WrongPosition("The positions of this connection name too many messages that are not here yet")
        return Start(position, known, ahead, possible)

    def resume(self, session: Session, key: Key, channel: Channel, start: Start, now: float) -> Resumed:
        """Go on from a position; from an empty one the client only wants to know the present one."""
        missed = self.missed(session, key, channel, start, now)
        self._rota.add(session, now)
        now_there = start.known | start.ahead
        data = {"recovered": missed is not None, "position": now_there}
        if missed is None:
            return Resumed(data, recovered=False, missed=[])
        # The position is good only once the missed events are through: a client may be cut off in their midst.
        frames = [framed(entry, key[1]) for entry in missed]
        return Resumed(data, recovered=True, missed=[*frames, position_told(now_there, key[1])])

    def missed(self, session: Session, key: Key, channel: Channel, start: Start, now: float) -> list[Entry] | None:
        """What a client has missed of a channel, None: that cannot be said; and remember where it is ahead."""
        position, known, ahead, possible = start
        if ahead:
            channel.ahead[session] = Ahead(ahead, now + 2 * self._history.max_seconds)
        missed = self._history.missed(key, position, known, self._floors()) if position and possible else None
        self.replayed += len(missed or ())
        return missed

    def ahead(self, session: Session, now: float) -> dict[StreamId, int]:
        """Where a session is ahead of this node in any of its channels."""
        known, channels = self._position(), self._subscriptions.of(session.app_id)
        ahead: dict[StreamId, int] = {}
        for name in session.channels:
            ahead |= channels[name].still_ahead(session, known, now)
        return ahead

    def remove(self, session: Session) -> None:
        """A session has left."""
        self._rota.remove(session)

    def tell(self, now: float) -> list[Delivery]:
        """Tell some of those that resume what they have seen by now: events alone do not say it on quiet channels."""
        sessions = self._rota.due(now)
        if not sessions:
            return []
        known = self._position()
        level, deliveries = [], []
        for session in sessions:
            channels = self._subscriptions.of(session.app_id)
            ahead = {name: channels[name].still_ahead(session, known, now) for name in sorted(session.channels)}
            if any(ahead.values()):
                # One by one: were it told less first, it would see again what it has, if it were cut off just then.
                frames = [position_told(known | numbers, name) for name, numbers in ahead.items()]
                deliveries += [Delivery(frame, [session]) for frame in frames]
            else:
                level.append(session)
        return [Delivery(position_told(known), level), *deliveries] if level else deliveries


def framed(entry: Entry, channel: str) -> bytes:
    """The frame of an event that is kept."""
    if isinstance(entry.body, Event):
        entry.body = encoded(entry.body, entry.stream, entry.seq).frame(channel)
    return entry.body

"""A channel that has subscribers here."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from wsnode.domain.member import Members
from wsnode.domain.messages import StreamId

if TYPE_CHECKING:
    from wsnode.domain.session import Session


class Ahead(NamedTuple):
    """What a session has seen at another node and this one has not, until it comes here or does not matter any more."""

    numbers: dict[StreamId, int]
    until: float


class Channel:
    """Its subscribers, and those of them that are ahead of this node."""

    __slots__ = ("ahead", "cached", "counted", "members", "sessions", "watched")

    def __init__(self, *, cached: bool, counted: bool, watched: bool, presence: bool) -> None:
        self.cached = cached
        self.counted = counted
        self.watched = watched
        self.members = Members() if presence else None
        self.sessions: set[Session] = set()
        self.ahead: dict[Session, Ahead] = {}

    def receivers(self, stream: StreamId, seq: int) -> Collection[Session]:
        """The sessions that have not seen a message."""
        if not self.ahead:
            return self.sessions
        return self.sessions - {session for session, it in self.ahead.items() if it.numbers.get(stream, 0) >= seq}

    def still_ahead(self, session: Session, known: dict[StreamId, int], now: float) -> dict[StreamId, int]:
        """Where the session is ahead of this node's position; what has come meanwhile is forgotten."""
        it = self.ahead.get(session)
        if it is None:
            return {}
        numbers = {
            stream: seq
            for stream, seq in it.numbers.items()
            if seq > known.get(stream, 0) and (stream in known or now < it.until)
        }
        if numbers:
            self.ahead[session] = Ahead(numbers, it.until)
        else:
            del self.ahead[session]
        return numbers

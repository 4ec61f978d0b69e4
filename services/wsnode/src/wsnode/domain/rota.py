"""Whose turn it is to be told the position: each session that resumes, at least every so often."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsnode.domain.session import Session

MOST_SECONDS = 60.0
"""Seconds, at most, between two tellings. A client that is away soon after one has a position as young as that."""


class Rota:
    """Sessions by when they were told last; it must be well within the `max_seconds` for which messages are kept."""

    def __init__(self, max_seconds: float) -> None:
        self._every = min(MOST_SECONDS, max_seconds / 5)
        self._told: OrderedDict[Session, float] = OrderedDict()

    def add(self, session: Session, now: float) -> None:
        """A session knows the position, and wants to be told of it from now on."""
        self._told.setdefault(session, now)

    def remove(self, session: Session) -> None:
        """A session has left."""
        self._told.pop(session, None)

    def due(self, now: float) -> list[Session]:
        """Those to be told now. Call it every second: many that came together are spread over several calls."""
        sessions: list[Session] = []
        some = 2 * len(self._told) // max(1, int(self._every)) + 1
        while len(sessions) < some and self._told:
            session, told = next(iter(self._told.items()))
            if told + self._every > now:
                break
            self._told[session] = now
            self._told.move_to_end(session)
            sessions.append(session)
        return sessions

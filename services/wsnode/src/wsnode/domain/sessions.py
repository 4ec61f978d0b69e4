"""The connections of a node by app and user, and how many the other nodes have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wsmesh.contract import App
from wsnode.domain import close_codes
from wsnode.domain.close_codes import Close
from wsnode.domain.directory import Directory

if TYPE_CHECKING:
    from wsnode.domain.session import Session

SKEW = 2.0
"""Seconds by which two nodes' clocks may differ where a message ends the connections that were there before it."""


class Sessions:
    """Sessions by app, and those that are signed in by user."""

    def __init__(self) -> None:
        self._by_app: dict[str, set[Session]] = {}
        self._by_user: dict[tuple[str, str], set[Session]] = {}
        self._remote: dict[str, dict[str, int]] = {}

    def of_app(self, app: str) -> Iterator[Session]:
        """This node's sessions of an app."""
        return iter(self._by_app.get(app, ()))

    def add(self, session: Session) -> None:
        """Take a new session."""
        self._by_app.setdefault(session.app_id, set()).add(session)

    def remove(self, session: Session) -> None:
        """Forget a session."""
        _discard(self._by_app, session.app_id, session)
        if session.user is not None:
            _discard(self._by_user, (session.app_id, session.user), session)

    def signed_in(self, session: Session, user: str, now: float) -> None:
        """A session proved which user it is."""
        if session.user is None:
            session.user, session.signed_in_at = user, now
        self._by_user.setdefault((session.app_id, user), set()).add(session)

    # --- how many there are

    def is_full(self, app: App) -> bool:
        """Whether the app has as many connections in the cluster as it may."""
        limit = app.limits.max_connections
        if not limit:
            return False
        remote = sum(counts.get(app.id, 0) for counts in self._remote.values())
        return remote + len(self._by_app.get(app.id, ())) >= limit

    def by_app(self) -> dict[str, int]:
        """This node's connections of each app."""
        return {app: len(sessions) for app, sessions in self._by_app.items()}

    def set_remote(self, node: str, connections: dict[str, int]) -> None:
        """What another node says of its connections."""
        self._remote[node] = connections

    def forget_node(self, node: str) -> None:
        """A node is gone."""
        self._remote.pop(node, None)

    # --- whom to close

    def terminated(self, app: str, user: str, age: float, now: float) -> list[tuple[Session, Close]]:
        """The user's connections, of a demand that is `age` seconds old only those that were there before it."""
        since = now - age + SKEW
        sessions = self._by_user.get((app, user), ())
        return [(each, close_codes.TERMINATED) for each in sessions if each.signed_in_at <= since]

    def shut_out(self, directory: Directory) -> list[tuple[Session, Close]]:
        """The connections of apps that are gone or disabled."""
        closes: list[tuple[Session, Close]] = []
        for app_id, sessions in self._by_app.items():
            app = directory.by_id(app_id)
            for session in sessions:
                if app is None or app.key != session.key:
                    closes.append((session, close_codes.UNKNOWN_APP))
                elif not app.enabled:
                    closes.append((session, close_codes.APP_DISABLED))
        return closes


def _discard(sets: dict[Any, set[Session]], key: object, session: Session) -> None:
    there = sets.get(key)
    if there is not None:
        there.discard(session)
        if not there:
            del sets[key]

"""Who is present in the presence channels of the whole cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wsnode.domain.messages import Join, Leave

Key = tuple[str, str]
"""App id and channel."""


class Change(NamedTuple):
    """A user came to a channel, with this info (JSON text), or is gone from it."""

    key: Key
    user: str
    info: str | None


class Presence:
    """The users of each channel, and at which nodes each is.

    A node says which users are present at it, each once for however many connections: with joins and leaves on its
    stream, or all at once in a snapshot. Here they become changes: a user comes with the first node that has it and
    goes with the last. All methods may repeat what is known; only what changes is returned.
    """

    def __init__(self) -> None:
        self.number = 0
        """Users of all channels together."""
        self._channels: dict[Key, dict[str, dict[str, str]]] = {}

    def users(self, key: Key) -> Mapping[str, str]:
        """The info of each user of a channel, in the order in which they came; of several, that of the first node."""
        return {user: next(iter(nodes.values())) for user, nodes in self._channels.get(key, {}).items()}

    def count(self, key: Key) -> int:
        """How many users a channel has."""
        return len(self._channels.get(key, ()))

    def has(self, key: Key, user: str) -> bool:
        """Whether a user is present."""
        return user in self._channels.get(key, ())

    def channels(self, app: str) -> list[str]:
        """The app's channels that have users."""
        return [channel for its_app, channel in self._channels if its_app == app]

    def at(self, node: str) -> list[Join]:
        """All that is known of a node, as it would say it to who knows nothing."""
        return [
            Join(*key, user, nodes[node])
            for key, users in self._channels.items()
            for user, nodes in users.items()
            if node in nodes
        ]

    def join(self, node: str, join: Join) -> list[Change]:
        """A user is present at a node. One that was keeps its info."""
        key = (join.app, join.channel)
        nodes = self._channels.setdefault(key, {}).setdefault(join.user, {})
        first = not nodes
        self.number += first
        nodes.setdefault(node, join.info)
        return [Change(key, join.user, join.info)] if first else []

    def leave(self, node: str, leave: Leave) -> list[Change]:
        """A user is not present at a node any more."""
        return self._leave(node, (leave.app, leave.channel), leave.user)

    def replace(self, node: str, present: Iterable[Join]) -> list[Change]:
        """Exactly these are present at a node."""
        now = {(join.app, join.channel, join.user): join for join in present}
        gone = [leave for join in self.at(node) if (leave := (join.app, join.channel, join.user)) not in now]
        changes = [change for app, channel, user in gone for change in self._leave(node, (app, channel), user)]
        return changes + [change for join in now.values() for change in self.join(node, join)]

    def forget_node(self, node: str) -> list[Change]:
        """A node is gone, and who was present only there."""
        return self.replace(node, [])

    def _leave(self, node: str, key: Key, user: str) -> list[Change]:
        users = self._channels.get(key, {})
        nodes = users.get(user, {})
        if nodes.pop(node, None) is None or nodes:
            return []
        self.number -= 1
        del users[user]
        if not users:
            del self._channels[key]
        return [Change(key, user, None)]

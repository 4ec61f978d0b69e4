"""How many connections of the whole cluster are subscribed to the channels that are counted, and which are occupied."""

from __future__ import annotations

from collections.abc import Callable

from wsnode.domain.messages import Payload, SubscriptionCount

Key = tuple[str, str]
"""App id and channel."""

AT_ONCE = 100
"""Up to so many subscribers a change is told at once."""

INTERVAL = 5.0
"""Seconds between two tellings of a channel with more."""


class Throttle:
    """Says when a change of a channel's number is told: at once while it is small, else every INTERVAL seconds."""

    __slots__ = ("_told", "_waiting")

    def __init__(self) -> None:
        self._told: dict[Key, float] = {}
        self._waiting: set[Key] = set()

    def now(self, key: Key, number: int, now: float) -> bool:
        """Whether to tell at once; if not, `due` will name the channel later."""
        if number > AT_ONCE and now - self._told.get(key, -INTERVAL) < INTERVAL:
            self._waiting.add(key)
            return False
        self._waiting.discard(key)
        if number > AT_ONCE:
            self._told[key] = now
        else:
            self._told.pop(key, None)
        return True

    def due(self, now: float) -> list[Key]:
        """The channels that waited long enough."""
        due = [key for key in self._waiting if now - self._told.get(key, -INTERVAL) >= INTERVAL]
        self._waiting.difference_update(due)
        self._told.update((key, now) for key in due)
        return due

    def forget(self, key: Key) -> None:
        """Drop the time of the last telling; what waits is due then."""
        self._told.pop(key, None)


class Counts:
    """Each node's number of subscribers by channel, and when to tell others and the subscribers of a change.

    `own` is this node's number: of a channel that is only watched it is 1 for any number of subscribers. `occupied` is
    told when a channel gets its first subscriber in the cluster, and when it has lost its last.
    """

    def __init__(
        self,
        node: str,
        own: Callable[[Key], int],
        announcements: list[Payload],
        occupied: Callable[[Key, bool], None],
    ) -> None:
        self._node = node
        self._own = own
        self._occupied = occupied
        self._by_key: dict[Key, dict[str, int]] = {}
        self._announced: dict[Key, int] = {}
        self._announce = Throttle()
        self._tell = Throttle()
        self.announcements = announcements
        """What is to be published on the own stream; whoever publishes takes it away."""

    def total(self, key: Key) -> int:
        """The number of the whole cluster, as far as announced."""
        return sum(self._by_key.get(key, {}).values())

    def channels(self, app: str) -> list[str]:
        """The app's channels that have subscribers in the cluster, as far as announced."""
        return [channel for (its_app, channel) in self._by_key if its_app == app]

    def changed(self, key: Key, now: float) -> None:
        """The number of this node's subscribers may have changed."""
        own = self._own(key)
        if own != self._announced.get(key, 0) and self._announce.now(key, max(self.total(key), own), now):
            self._announce_now(key)

    def learn(self, node: str, count: SubscriptionCount, now: float) -> Key | None:
        """Take a node's announcement; the channel, if its subscribers are to be told at once."""
        return self._set(node, (count.app, count.channel), count.count, now)

    def forget_node(self, node: str, now: float) -> list[Key]:
        """A node is gone; the channels whose subscribers are to be told at once."""
        return self.replace(node, [], now)

    def replace(self, node: str, counts: list[SubscriptionCount], now: float) -> list[Key]:
        """Take all numbers of a node at once, instead of what was known; the channels to tell at once."""
        numbers = {key: 0 for key, nodes in self._by_key.items() if node in nodes}
        numbers |= {(count.app, count.channel): count.count for count in counts}
        changed = (self._set(node, key, number, now) for key, number in numbers.items())
        return [key for key in changed if key is not None]

    def tick(self, now: float) -> list[Key]:
        """Announce what waited; the channels whose subscribers are to be told."""
        for key in self._announce.due(now):
            self._announce_now(key)
        return self._tell.due(now)

    def own(self) -> list[SubscriptionCount]:
        """This node's numbers, for a peer that knows none."""
        mine = ((key, nodes.get(self._node, 0)) for key, nodes in self._by_key.items())
        return [SubscriptionCount(app, channel, number) for (app, channel), number in mine if number]

    def _announce_now(self, key: Key) -> None:
        number = self._own(key)
        if number:
            self._announced[key] = number
        else:
            self._announced.pop(key, None)
        self.announcements.append(SubscriptionCount(*key, number))

    def _set(self, node: str, key: Key, number: int, now: float) -> Key | None:
        nodes = self._by_key.get(key, {})
        if nodes.get(node, 0) == number:
            return None
        if number:
            nodes[node] = number
            if len(nodes) == 1 and key not in self._by_key:
                self._by_key[key] = nodes
                self._occupied(key, True)
        else:
            del nodes[node]
            if not nodes:
                del self._by_key[key]
                self._tell.forget(key)
                self._announce.forget(key)
                self._occupied(key, False)
                return key
        return key if self._tell.now(key, sum(nodes.values()), now) else None

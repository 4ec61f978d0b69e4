"""The last events of every channel, for clients that resume, and from where on they are whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from heapq import heappop, heappush

from msgspec import Struct

from wsmesh.contract import ChannelRule
from wsnode.domain.messages import Event, StreamId

Key = tuple[str, str]
"""App id and channel."""
Position = Mapping[StreamId, int]

OVERHEAD = 250
"""Bytes that an event costs beside its text."""


class Entry(Struct, gc=False):
    """An event of a channel. `body` is its frame once that was needed, before that the event itself."""

    stream: StreamId
    seq: int
    at: float
    """When it arrived here, in the node's steady seconds."""
    body: Event | bytes
    cost: int
    also: list[tuple[StreamId, int]] | None = None
    """The same event under other ids: it was published again with the same idempotency key."""


class _Channel:
    """Entries in the order of their arrival, and for each stream the number up to which some were dropped."""

    __slots__ = ("bytes", "entries", "floors", "idle", "key", "last", "queued", "seconds")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.entries: deque[Entry] = deque()
        self.floors: dict[StreamId, int] = {}
        self.bytes = 0
        self.seconds = self.last = 0.0
        self.queued = self.idle = False


class _Agenda:
    """Channels by the time at which each must be looked at."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Channel]] = []
        self._number = 0

    def put(self, due: float, channel: _Channel) -> None:
        self._number += 1
        heappush(self._heap, (due, self._number, channel))

    def pop(self, now: float = float("inf")) -> tuple[float, _Channel] | None:
        """The channel that is due first, and when it was, if that is not after `now`."""
        if not self._heap or self._heap[0][0] > now:
            return None
        due, _, channel = heappop(self._heap)
        return due, channel


class History:
    """Entries of all channels, at most `max_seconds` old and `max_bytes` in all; times are steady seconds.

    Bytes are the sum of the entries' costs. What a channel's rule drops, or the bound of bytes, raises the channel's
    floors. The floors of a channel without events for `max_seconds` are folded into those that all channels share, and
    the channel is forgotten.
    """

    def __init__(self, max_seconds: float, max_bytes: int) -> None:
        self.max_seconds = max_seconds
        self.bytes = 0
        self.dropped = 0
        """Events dropped before their time since `max_bytes` were reached."""
        self.dropped_by_rules = 0
        """Events dropped before their time since the bytes that their channel's rule allows were reached."""
        self._max_bytes = max_bytes
        self._channels: dict[Key, _Channel] = {}
        self._folded: dict[StreamId, int] = {}
        self._aging = _Agenda()
        self._idle = _Agenda()

    def __len__(self) -> int:
        return len(self._channels)

    def add(self, key: Key, rule: ChannelRule, entry: Entry) -> None:
        """Take the next event of a channel whose rule is `rule`; one beyond the rule's bytes leaves nothing there."""
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = _Channel(key)
        now, entries = entry.at, channel.entries
        channel.last = now
        channel.seconds = seconds = min(rule.history_seconds, self.max_seconds)
        entries.append(entry)
        channel.bytes += entry.cost
        self.bytes += entry.cost
        while entries and (len(entries) > rule.history_messages or entries[0].at + seconds <= now):
            self._drop(channel)
        if rule.history_bytes:
            while channel.bytes > rule.history_bytes:
                self._drop(channel)
                self.dropped_by_rules += 1
        if not channel.queued:
            self._plan(channel)
        while self.bytes > self._max_bytes and (first := self._aging.pop()) is not None:
            self.dropped += self._age(*first, first[0])

    def missed(self, key: Key, position: Position, known: Position, floors: Position) -> list[Entry] | None:
        """What a client with this position has missed of a channel, in the order of arrival; None: that cannot be said.

        `known` is the position of this node, and `floors` are its own: up to them messages may never have come here.
        """
        channel = self._channels.get(key)
        own: Position = {} if channel is None else channel.floors
        for stream in known:
            floor = max(floors.get(stream, 0), self._folded.get(stream, 0), own.get(stream, 0))
            if position.get(stream, 0) < floor:
                return None
        if not position.keys() <= known.keys():
            return None
        if channel is None:
            return []
        if any(entry.stream not in known for entry in channel.entries):
            return None
        return [entry for entry in channel.entries if not _seen(entry, position)]

    def sweep(self, now: float, known: Position, floors: Position, steps: int) -> bool:
        """Let events age, in at most so many steps; whether there is more to do at once."""
        self._prune(self._folded, known, floors)
        for _ in range(steps):
            if (aging := self._aging.pop(now)) is not None:
                self._age(*aging, now)
                if len(aging[1].floors) > len(known):
                    self._prune(aging[1].floors, known, floors)
            elif (idle := self._idle.pop(now)) is not None:
                self._fold(idle[1], now)
            else:
                return False
        return True

    def _age(self, due: float, channel: _Channel, now: float) -> bool:
        """A channel was due: drop its oldest entry, if it is still the one that was meant, and plan anew."""
        channel.queued = False
        entries = channel.entries
        dropped = bool(entries) and entries[0].at + channel.seconds <= max(due, now)
        if dropped:
            self._drop(channel)
        self._plan(channel)
        return dropped

    def _plan(self, channel: _Channel) -> None:
        if channel.entries:
            channel.queued = True
            self._aging.put(channel.entries[0].at + channel.seconds, channel)
        elif not channel.idle:
            channel.idle = True
            self._idle.put(channel.last + self.max_seconds, channel)

    def _drop(self, channel: _Channel) -> None:
        entry = channel.entries.popleft()
        channel.bytes -= entry.cost
        self.bytes -= entry.cost
        channel.floors[entry.stream] = entry.seq

    def _fold(self, channel: _Channel, now: float) -> None:
        channel.idle = False
        if channel.entries or channel.queued:
            return
        if channel.last + self.max_seconds > now:
            self._plan(channel)
            return
        del self._channels[channel.key]
        for stream, floor in channel.floors.items():
            if floor > self._folded.get(stream, 0):
                self._folded[stream] = floor

    @staticmethod
    def _prune(own: dict[StreamId, int], known: Position, floors: Position) -> None:
        for stream in [stream for stream, seq in own.items() if stream not in known or seq <= floors.get(stream, 0)]:
            del own[stream]


def _seen(entry: Entry, position: Position) -> bool:
    if position.get(entry.stream, 0) >= entry.seq:
        return True
    return entry.also is not None and any(position.get(stream, 0) >= seq for stream, seq in entry.also)

"""The last event of each cache channel of an app, for those who subscribe later."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from wsnode.domain.messages import StreamId

MAX_EVENTS = 10_000
MAX_BYTES = 16_777_216


class Last(NamedTuple):
    """The frame of an event, its stream and number, and the time at its origin in milliseconds since the epoch."""

    frame: bytes
    stream: StreamId
    seq: int
    at: int

    def follows(self, other: Last) -> bool:
        """Whether this is the later one of two events; all nodes say the same, whichever came first to them."""
        if self.stream == other.stream:
            return self.seq > other.seq
        return (self.at, self.stream) > (other.at, other.stream)


class LastEvents:
    """Events by channel. Beyond `max_events` or `max_bytes` the one unused for longest goes, which is a cache miss."""

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: OrderedDict[str, Last] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._events)

    def put(self, channel: str, event: Last) -> None:
        """Keep an event in place of the channel's former one, unless that is later."""
        former = self._events.get(channel)
        if former is not None:
            if not event.follows(former):
                return
            self.bytes -= len(former.frame)
        self.bytes += len(event.frame)
        self._events[channel] = event
        self._events.move_to_end(channel)
        while self.bytes > self._max_bytes or len(self._events) > self._max_events:
            self.bytes -= len(self._events.popitem(last=False)[1].frame)

    def get(self, channel: str) -> Last | None:
        """The last event of a channel, if it is kept."""
        event = self._events.get(channel)
        if event is not None:
            self._events.move_to_end(channel)
        return event

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """Drop the events of all channels that are not wanted any more."""
        for channel in [channel for channel in self._events if not wanted(channel)]:
            self.bytes -= len(self._events.pop(channel).frame)

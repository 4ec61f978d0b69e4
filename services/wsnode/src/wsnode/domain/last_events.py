"""The last event of each cache channel of an app, for those who subscribe later."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

MAX_EVENTS = 10_000
MAX_BYTES = 16_777_216


class LastEvents:
    """Frames by channel. Beyond `max_events` or `max_bytes` the one unused for longest goes, which is a cache miss."""

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._frames: OrderedDict[str, bytes] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, channel: str, frame: bytes) -> None:
        """Keep a frame in place of the channel's former one."""
        self.bytes += len(frame) - len(self._frames.pop(channel, b""))
        self._frames[channel] = frame
        while len(self._frames) > self._max_events or (self.bytes > self._max_bytes and self._frames):
            self.bytes -= len(self._frames.popitem(last=False)[1])

    def get(self, channel: str) -> bytes | None:
        """The last event of a channel, if it is kept."""
        frame = self._frames.get(channel)
        if frame is not None:
            self._frames.move_to_end(channel)
        return frame

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """Drop the events of all channels that are not wanted any more."""
        for channel in [channel for channel in self._frames if not wanted(channel)]:
            self.bytes -= len(self._frames.pop(channel))

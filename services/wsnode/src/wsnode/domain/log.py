"""The log of a stream: its bounded tail, kept for peers that were away."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import msgspec

from wsnode.domain.messages import Message


class Entry(NamedTuple):
    """A message as it travels: encoded once, for every peer."""

    seq: int
    raw: bytes
    at: float


class StreamLog:
    """The newest messages of one stream, at most `max_seconds` old and `max_bytes` in all.

    The last message always stays. What left the log before it reached a peer is that peer's gap.
    """

    def __init__(self, max_seconds: float, max_bytes: int) -> None:
        self._max_seconds = max_seconds
        self._max_bytes = max_bytes
        self._entries: deque[Entry] = deque()
        self._encode = msgspec.msgpack.Encoder().encode
        self.bytes = 0
        self.last = 0
        """The sequence number of the newest message ever appended; 0: none yet."""

    @property
    def oldest(self) -> int:
        """The sequence number of the oldest message still held; `last + 1` when none is."""
        return self._entries[0].seq if self._entries else self.last + 1

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, message: Message, now: float) -> None:
        """Take the next message of the stream."""
        if message.seq != self.last + 1:
            raise ValueError(f"message {message.seq} does not follow {self.last}")
        raw = self._encode(message)
        self._entries.append(Entry(message.seq, raw, now))
        self.bytes += len(raw)
        self.last = message.seq
        self.trim(now)

    def after(self, seq: int, max_bytes: int) -> list[Entry]:
        """The messages that follow `seq`, as many as fit in `max_bytes`, but one at least if there is any."""
        first = max(seq + 1, self.oldest)
        found: list[Entry] = []
        room = max_bytes
        for number in range(first - self.oldest, len(self._entries)):
            entry = self._entries[number]
            room -= len(entry.raw)
            if room < 0 and found:
                break
            found.append(entry)
        return found

    def trim(self, now: float) -> None:
        """Forget what is too old or too much."""
        entries = self._entries
        while len(entries) > 1 and (self.bytes > self._max_bytes or now - entries[0].at > self._max_seconds):
            self.bytes -= len(entries.popleft().raw)

"""The log of a stream: its bounded tail, kept for peers that were away and for clients that resume."""

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
    """When it arrived here, in the node's steady seconds."""


class StreamLog:
    """The newest messages of one stream, without a break, none older than `max_seconds`; the last one always stays."""

    def __init__(self, max_seconds: float) -> None:
        self._max_seconds = max_seconds
        self._entries: deque[Entry] = deque()
        self.bytes = 0
        self.missing = 0
        """The number up to which messages never arrived here: before the stream was first heard of, or in a gap."""
        self.last = 0
        """The newest sequence number up to which the stream is known here; 0: nothing yet."""

    @property
    def oldest(self) -> int:
        """The sequence number of the oldest message still held; `last + 1` when none is."""
        return self._entries[0].seq if self._entries else self.last + 1

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, seq: int, raw: bytes, now: float) -> None:
        """Take the next message of the stream, encoded."""
        if seq != self.last + 1:
            raise ValueError(f"message {seq} does not follow {self.last}")
        self._entries.append(Entry(seq, raw, now))
        self.bytes += len(raw)
        self.last = seq

    def skip_to(self, seq: int) -> None:
        """Messages up to `seq` will never come: what is held before them is no unbroken tail any more."""
        self._entries.clear()
        self.bytes = 0
        self.last = self.missing = seq

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
        """Forget what is too old."""
        while len(self._entries) > 1 and now - self._entries[0].at > self._max_seconds:
            self._drop()

    def give_back(self, excess: int) -> int:
        """Forget the oldest messages until `excess` bytes are free or one is left; returns how many were forgotten."""
        dropped = 0
        while len(self._entries) > 1 and excess > 0:
            excess -= self._drop()
            dropped += 1
        return dropped

    def _drop(self) -> int:
        size = len(self._entries.popleft().raw)
        self.bytes -= size
        return size


_encode = msgspec.msgpack.Encoder().encode


def encoded(message: Message) -> bytes:
    """A message as it travels."""
    return _encode(message)

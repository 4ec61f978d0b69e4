"""What a client has missed, on its way to it, and what came meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

CHUNK = 65_536
"""Bytes that are handed to the transport at once; so much waits there at most."""

MAX_FRAMES = 1_000_000
"""Frames in a backlog; they are the history's own, but a client that asks and does not read must not gather them."""


class Backlog:
    """Frames in the order in which the client gets them. `replay`, made as it is written, comes before all others."""

    __slots__ = ("_frames", "_missed", "_replay", "bytes", "paused")

    def __init__(self, replay: Iterator[bytes] = iter(())) -> None:  # noqa: B008 (empty for ever)
        self._replay = replay
        self._frames: deque[bytes] = deque()
        self._missed = 0
        self.bytes = 0
        """Those that wait; what is not made yet does not count."""
        self.paused = False
        """Whether the transport has enough for now."""

    def add_missed(self, frames: Sequence[bytes]) -> None:
        """Take what the client has missed; it may be far more than may wait for a client otherwise."""
        self._frames.extend(frames)
        size = sum(map(len, frames))
        self.bytes += size
        self._missed += size

    def add(self, frames: Sequence[bytes], limit: int) -> bool:
        """Take what came meanwhile; False when more than `limit` bytes of it wait, or too many frames."""
        self._frames.extend(frames)
        self.bytes += sum(map(len, frames))
        return self.bytes - self._missed <= limit and len(self._frames) <= MAX_FRAMES

    def take(self) -> bytes:
        """The next frames, joined, and no longer here; nothing when there are none."""
        frames, size = [], 0
        while size < CHUNK and (made := next(self._replay, None)) is not None:
            frames.append(made)
            size += len(made)
        waited = 0
        while self._frames and size + waited < CHUNK:
            frame = self._frames.popleft()
            frames.append(frame)
            waited += len(frame)
        self.bytes -= waited
        self._missed = max(0, self._missed - waited)
        return b"".join(frames)

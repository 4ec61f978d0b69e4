"""What a client has missed, on its way to it, and what came meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

CHUNK = 65_536
"""Bytes that are handed to the transport at once; so much waits there at most."""

MAX_FRAMES = 1_000_000
"""Frames in a backlog; they are the history's own, but a client that asks and does not read must not gather them."""


class Backlog:
    """Frames in the order in which the client gets them."""

    __slots__ = ("_frames", "_missed", "bytes", "paused")

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._missed = 0
        self.bytes = 0
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
        while self._frames and size < CHUNK:
            frame = self._frames.popleft()
            frames.append(frame)
            size += len(frame)
        self.bytes -= size
        self._missed = max(0, self._missed - size)
        return b"".join(frames)

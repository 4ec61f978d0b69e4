"""Which events were published with an idempotency key, so that each is delivered once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from wsnode.domain.messages import Event, StreamId

MAX_KEYS = 100_000
"""Keys that are remembered, about 330 new ones a second for five minutes; beyond, the oldest is forgotten and counted.

Raising it costs about half a kilobyte for each; lowering it, that repetitions make second events.
"""

_encode = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class Known:
    """The first event with a key that came here."""

    stream: StreamId
    seq: int
    digest: bytes
    also: list[tuple[StreamId, int]] = field(default_factory=list)
    """Stream and number of those that came after it."""


class Keys:
    """Events by app and idempotency key, for `max_seconds` after they came."""

    def __init__(self, max_seconds: float, max_keys: int = MAX_KEYS) -> None:
        self._max_seconds = max_seconds
        self._max_keys = max_keys
        self._known: dict[tuple[str, str], Known] = {}
        self._by_age: deque[tuple[float, tuple[str, str]]] = deque()
        self.dropped = 0
        """Keys that were forgotten early, for want of room."""

    def __len__(self) -> int:
        return len(self._known)

    def find(self, event: Event) -> Known | None:
        """The event that came first with the key of this one."""
        return self._known.get((event.app, event.key)) if event.key is not None else None

    def add(self, event: Event, stream: StreamId, seq: int, now: float) -> Known:
        """Remember the first event with its key."""
        assert event.key is not None
        key = (event.app, event.key)
        known = self._known[key] = Known(stream, seq, digest(event))
        self._by_age.append((now, key))
        if len(self._known) > self._max_keys:
            self.dropped += not self._is_old(now)
            self._forget()
        return known

    def sweep(self, now: float, steps: int) -> bool:
        """Forget what is too old, at most so many; whether there is more to do at once."""
        for _ in range(steps):
            if not self._by_age or not self._is_old(now):
                return False
            self._forget()
        return True

    def _is_old(self, now: float) -> bool:
        """Whether the oldest key may be forgotten for its age."""
        return now - self._by_age[0][0] > self._max_seconds

    def _forget(self) -> None:
        del self._known[self._by_age.popleft()[1]]


def digest(event: Event) -> bytes:
    """Tells whether two events are the same."""
    return blake2b(_encode(event), digest_size=16).digest()


def public_key(event: Event) -> str | None:
    """What subscribers are told of the key: the same for all events with it, but not the key itself."""
    if event.key is None:
        return None
    return blake2b(f"{event.app} {event.key}".encode(), digest_size=12).hexdigest()

"""What one webhook is still to be told: in order, in batches, tried again until it is too late."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from wsnode.domain.messages import HookEvent

BATCH = 100
"""Events that one request carries at most."""

BACKOFF_FIRST = 1.0
BACKOFF_MOST = 60.0
"""Seconds before the second try, and the bound to which the wait doubles from then on."""


class Waiting(NamedTuple):
    """An event, its id, and when it was put in."""

    id: str
    event: HookEvent
    at: float


class Queue:
    """One batch is on its way at a time, so that the receiver gets the events in order.

    A batch that failed is sent again as it was, byte for byte, until one of its events is too old. `uniform(a, b)`
    gives a random number between.
    """

    def __init__(self, retry_seconds: float, uniform: Callable[[float, float], float]) -> None:
        self.attempt = 0
        """How often in a row the receiver has failed."""
        self.retry_at = float("-inf")
        self._retry_seconds = retry_seconds
        self._uniform = uniform
        self._ids: set[str] = set()
        self._waiting: deque[Waiting] = deque()
        self._batch: list[Waiting] = []
        self._body: bytes | None = None
        self._in_flight = False

    def __len__(self) -> int:
        return len(self._batch) + len(self._waiting)

    @property
    def in_flight(self) -> bool:
        """Whether a request is on its way."""
        return self._in_flight

    def put(self, id: str, event: HookEvent, now: float) -> None:  # noqa: A002
        """Add an event, unless it is there."""
        if id not in self._ids:
            self._ids.add(id)
            self._waiting.append(Waiting(id, event, now))

    def ready(self, now: float) -> bool:
        """Whether `start` would give something now."""
        return not self._in_flight and len(self) > 0 and now >= self.retry_at

    def start(self, wanted: Callable[[HookEvent], bool], at: int) -> bytes:
        """The body of the next request, whose outcome is told with `told` or `failed`; empty when nobody wants any of
        the events: then they are told already. `at` is the time of day in milliseconds.
        """
        if self._body is None:
            while self._waiting and len(self._batch) < BATCH:
                self._batch.append(self._waiting.popleft())
            events = [_shown(waiting.event) for waiting in self._batch if wanted(waiting.event)]
            self._body = msgspec.json.encode({"time_ms": at, "events": events}) if events else b""
        self._in_flight = True
        return self._body

    def told(self) -> list[Waiting]:
        """The batch arrived; its events."""
        told = self._batch
        self._next()
        self.attempt, self.retry_at = 0, float("-inf")
        return self._out(told)

    def failed(self, now: float) -> list[Waiting]:
        """The batch did not arrive; the events that are given up: those that were put in too long ago."""
        self._in_flight = False
        wait = min(BACKOFF_MOST, BACKOFF_FIRST * 2.0 ** min(self.attempt, 10))
        self.attempt += 1
        self.retry_at = now + wait * self._uniform(0.5, 1.0)
        if all(now - waiting.at < self._retry_seconds for waiting in self._batch):
            return []
        return self._take_out(lambda waiting: now - waiting.at >= self._retry_seconds)

    def leave(self, gone: Callable[[str], bool]) -> None:
        """Take out the events of channels that somebody else tells of now, unless they are on their way."""
        if self._in_flight:
            self._waiting = deque(kept for kept in self._waiting if not gone(kept.event.channel))
            self._ids = {waiting.id for waiting in (*self._batch, *self._waiting)}
        elif any(gone(waiting.event.channel) for waiting in (*self._batch, *self._waiting)):
            self._take_out(lambda waiting: gone(waiting.event.channel))

    def _take_out(self, which: Callable[[Waiting], bool]) -> list[Waiting]:
        """Dissolve the batch, which is not on its way, and take some events out."""
        everything = [*self._batch, *self._waiting]
        self._next()
        self._waiting = deque(waiting for waiting in everything if not which(waiting))
        return self._out([waiting for waiting in everything if which(waiting)])

    def _out(self, out: list[Waiting]) -> list[Waiting]:
        self._ids.difference_update(waiting.id for waiting in out)
        return out

    def _next(self) -> None:
        self._batch, self._body, self._in_flight = [], None, False


def _shown(event: HookEvent) -> dict[str, Any]:
    """The event as Pusher's libraries read it."""
    shown: dict[str, Any] = {"name": event.name, "channel": event.channel}
    if event.name in ("member_added", "member_removed"):
        shown["user_id"] = event.user
    if event.name == "subscription_count":
        shown["subscription_count"] = event.number
    return shown

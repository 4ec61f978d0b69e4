"""When connections are to be looked at again: one set of them for each second, no timer for any."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """Remembers its place."""

    due: int | None


T = TypeVar("T", bound=Timed)


class Wheel(Generic[T]):
    """Whole seconds of a steady clock, each with the items that are due in it."""

    def __init__(self, now: float) -> None:
        self._next = int(now)
        self._seconds: dict[int, set[T]] = {}

    def set(self, item: T, when: float) -> None:
        """Make `item` due at `when`, rounded up, instead of any former time."""
        self.drop(item)
        item.due = max(int(when) + 1, self._next)
        self._seconds.setdefault(item.due, set()).add(item)

    def drop(self, item: T) -> None:
        """Make `item` due never."""
        if item.due is not None:
            self._seconds.get(item.due, set()).discard(item)
            item.due = None

    def pop(self, now: float) -> list[T]:
        """Take out what is due."""
        items: list[T] = []
        while self._next <= now:
            items.extend(self._seconds.pop(self._next, ()))
            self._next += 1
        for item in items:
            item.due = None
        return items

"""A bound on how often something may happen."""

from __future__ import annotations


class Bucket:
    """Takes `rate` a second in the long run, and `burst` at once after a rest."""

    __slots__ = ("_burst", "_left", "_rate", "_seen")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._seen = now

    def take(self, now: float) -> bool:
        """Whether one more fits at `now` (seconds of any steady clock)."""
        left = self._left + (now - self._seen) * self._rate
        self._seen = now
        self._left = left if left < self._burst else self._burst
        if self._left < 1:
            return False
        self._left -= 1
        return True

"""How many requests a caller may make."""

from __future__ import annotations

BURST_SECONDS = 5


class Rates:
    """A token bucket for each name: `rate` a second, and five seconds' worth at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._full = rate * BURST_SECONDS
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, name: str, now: float) -> bool:
        """Whether `name` may make one more request at `now` (seconds, never going back)."""
        level, since = self._levels.get(name, (self._full, now))
        level = min(self._full, level + (now - since) * self._rate)
        allowed = level >= 1
        self._levels[name] = (level - 1 if allowed else level, now)
        return allowed

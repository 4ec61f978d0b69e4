"""When to connect again: the close codes of the Pusher protocol, and full jitter.

Full jitter spreads the clients of a dead node evenly over the waiting time, so that they do not come back in waves
(Brooker, "Exponential Backoff And Jitter", 2015).
"""

from __future__ import annotations

from random import Random

STOP = range(4000, 4100)
BACK_OFF = range(4100, 4200)
AT_ONCE = range(4200, 4300)


class Reconnect:
    """Decides how long to wait after each lost connection. Times are seconds of any clock that only goes forward."""

    def __init__(
        self, random: Random, *, base: float = 1.0, cap: float = 30.0, back_off: float = 1.0, stable: float = 5.0
    ) -> None:
        """Waits grow from `base` to `cap`; 4100-4199 wait at least `back_off`; `stable` makes a recovery."""
        self._random = random
        self._base = base
        self._cap = cap
        self._back_off = back_off
        self._stable = stable
        self._failures = 0
        self._since: float | None = None

    def connected(self, now: float) -> None:
        """The server took the connection."""
        self._since = now

    def lost(self, code: int | None, now: float) -> float | None:
        """Seconds to wait after a connection ended with close `code` (None: it never began); None: do not come back.

        A connection shorter than `stable` does not count as a recovery: a server that closes everyone with 4200 is not
        asked again without a pause.
        """
        if self._since is not None and now - self._since >= self._stable:
            self._failures = 0
        self._since = None
        self._failures += 1
        if code in STOP:
            return None
        if code in AT_ONCE and self._failures == 1:
            return 0.0
        wait = self._random.uniform(0, min(self._cap, self._base * 2.0 ** min(self._failures - 1, 32)))
        return self._back_off + wait if code in BACK_OFF else wait

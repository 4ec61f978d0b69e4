"""`--watch`: apply each change within a second of the registry's knowing it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from haproxysync.adapters.files import Locked
from haproxysync.adapters.registry import Registry
from haproxysync.reading import SettingsError
from haproxysync.sync import Exit, Outcome, Sync

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
QUICK_ANSWER = 0.5
"""A registry that answers the same again sooner than this does not wait; then we do."""


class Stopped(BaseException):
    """SIGTERM or SIGINT came while waiting."""


class Stop:
    """Signals end the loop at once while it waits, and after the work while it works."""

    def __init__(self) -> None:
        self.asked = False
        self._waiting = False

    def install(self) -> None:
        """Catch SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def _handle(self, _: int, __: FrameType | None) -> None:
        self.asked = True
        if self._waiting:
            raise Stopped

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Signals may interrupt this."""
        self._waiting = True
        try:
            if self.asked:
                raise Stopped
            yield
        finally:
            self._waiting = False


def backoff(failures: int, chance: float) -> float:
    """Seconds to wait after so many failures in a row; `chance` from 0 to 1 spreads the balancers."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 10)) * (0.5 + chance / 2)


def watch(
    sync: Sync,
    registry: Registry,
    stop: Stop,
    *,
    poll_seconds: float,
    chance: Callable[[], float],
    report: Callable[[Outcome], None],
    complain: Callable[[str], None],
) -> None:
    """Run until `stop`. Every poll, changed or not, also puts right what HAProxy holds."""
    failures, before = 0, None
    try:
        while True:
            started = time.monotonic()
            with stop.waiting():
                answer = registry.fetch(wait=0 if failures else poll_seconds)
            try:
                outcome = sync.run(answer)
                report(outcome)
                lost = outcome.exit is Exit.HAPROXY or not isinstance(answer, bytes) or _invalid(outcome)
            except (Locked, SettingsError) as problem:
                complain(str(problem))
                lost = True
            failures = failures + 1 if lost else 0
            with stop.waiting():
                if failures:
                    time.sleep(backoff(failures, chance()))
                elif answer == before and time.monotonic() - started < QUICK_ANSWER:
                    time.sleep(1.0)
            before = answer
    except Stopped:
        return


def _invalid(outcome: Outcome) -> bool:
    return outcome.refused is not None and outcome.refused.reason in ("invalid", "unresolved")

"""Simulated time: what happens when, in one order that a seed replays."""

from __future__ import annotations

import heapq
from collections.abc import Callable

BEGIN = 1_000.0
"""What every steady clock says when a run begins."""


class Clock:
    """Does what is due, earliest first; of two things at one moment the one that was asked for first."""

    def __init__(self) -> None:
        self.now = BEGIN
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0

    def after(self, seconds: float, do: Callable[[], object]) -> None:
        """Do something when so many seconds have passed."""
        self._number += 1
        heapq.heappush(self._agenda, (self.now + seconds, self._number, do))

    def run_until(self, end: float) -> None:
        """Let all happen that is due by `end`."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= end:
            self.now, _, do = heapq.heappop(agenda)
            do()
        self.now = end

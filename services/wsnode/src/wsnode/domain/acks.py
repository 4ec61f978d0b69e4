"""Which publishes wait for acknowledgements, and when each has enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from wsnode.domain.messages import StreamId

Acks = int | Literal["all"]


@dataclass(slots=True, eq=False)
class Waiting:
    """A publish that waits: `settle` is called once, with the nodes that hold message `seq` of the stream."""

    stream: StreamId
    seq: int
    wanted: Acks
    settle: Callable[[list[str]], None]


class Acknowledgements:
    """Publishes that wait for peers to hold their message."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self, waiting: Waiting) -> None:
        """Remember a publish that does not have enough yet."""
        self._waiting.append(waiting)

    def give_up(self, waiting: Waiting) -> None:
        """Forget a publish: its time has run out."""
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    def check(self, holders: Callable[[StreamId, int], list[str]], up: Iterable[str]) -> None:
        """Settle every publish that has enough now; `holders` names the peers that hold a message of a stream."""
        if not self._waiting:
            return
        alive, still = set(up), []
        for waiting in self._waiting:
            held_by = holders(waiting.stream, waiting.seq)
            if enough(waiting.wanted, held_by, alive):
                waiting.settle(held_by)
            else:
                still.append(waiting)
        self._waiting = still


def enough(wanted: Acks, held_by: list[str], up: set[str]) -> bool:
    """Whether these holders are as many as a publisher wants; `all` means every peer that is up."""
    if wanted == "all":
        return up <= set(held_by)
    return len(held_by) >= wanted

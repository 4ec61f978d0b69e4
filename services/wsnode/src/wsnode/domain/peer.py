"""One other node, as this node sees it: how far it is, how it answers, and when to try again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from wsnode.domain.messages import StreamId

PeerState = Literal["up", "suspect", "down"]

BACKOFF_FIRST = 0.1
BACKOFF_MOST = 2.0


@dataclass(slots=True)
class Peer:
    """`cursor`: the last own message it acknowledged; `sent`: the last one that is on its way."""

    node: str
    address: str
    first_seen: float
    member: bool = True
    """Whether the registry counts it as a member, by its lease."""
    stream: StreamId | None = None
    state: PeerState = "suspect"
    greeted: bool = False
    needed: int = 0
    """The number of its stream that the next snapshot must hold at least."""
    tried: bool = False
    """Whether it has been greeted, or has failed to answer, at least once: a joining node waits for that."""
    cursor: int = 0
    sent: int = 0
    position: dict[StreamId, int] = field(default_factory=dict)
    """What it last said that it has."""
    floors: dict[StreamId, int] = field(default_factory=dict)
    """Of each stream the number up to which it may hold nothing, whatever its position is."""
    aims: dict[StreamId, int] = field(default_factory=dict)
    """What it had when it was greeted: a node that joins waits for it."""
    in_flight: set[int] = field(default_factory=set)
    """The numbers of the requests that have not been answered."""
    last_answer: float = float("-inf")
    last_sent: float = float("-inf")
    last_beat: float = float("-inf")
    """When it was last told this node's counts and position."""
    retry_at: float = float("-inf")
    failures: int = 0
    retries: int = 0

    def acknowledged(self, seq: int, now: float) -> None:
        """It answered: all up to `seq` has arrived. What was sent but did not arrive is sent again.

        Answers may overtake each other while several pushes are in flight; after the last one, what it says counts,
        even if that is less than was thought.
        """
        self.last_answer = now
        self.failures = 0
        self.cursor = seq if not self.in_flight else max(self.cursor, seq)
        if not self.in_flight or self.sent < self.cursor:
            self.sent = self.cursor

    def failed(self, now: float, uniform: Callable[[float, float], float]) -> None:
        """It did not answer: wait before the next try, longer each time, and not in step with other nodes."""
        self.sent = self.cursor
        self.tried = True
        self.retries += 1
        wait = min(BACKOFF_MOST, BACKOFF_FIRST * 2**self.failures)
        self.failures += 1
        self.retry_at = now + wait * uniform(0.5, 1.0)

    def silent_since(self) -> float:
        """The time of its last sign of life."""
        return max(self.last_answer, self.first_seen)

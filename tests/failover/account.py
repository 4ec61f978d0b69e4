"""What one client has received, and whether it was all, once and in order. Without I/O.

A message is known by its channel's publisher and number, whatever event carries it. A publisher that repeated it at
another node may have made two events of it with one idempotency key: a client that goes from node to node may meet
both, and drops the second, as docs/client-protocol.md says. Within one connection a second one is the node's fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Account:
    """The account of one client and its channel."""

    received: int = 0
    repeats: int = 0
    """Events dropped by their idempotency key after a change of node."""
    duplicates: list[str] = field(default_factory=list)
    disorder: list[str] = field(default_factory=list)
    _seen: dict[int, dict[int, tuple[str, int]]] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)

    def take(self, event_id: str, *, keyed: bool, publisher: int, number: int, connection: int) -> bool:
        """Enter an event that came over the client's n-th connection; whether it is new."""
        stream, _, text = event_id.rpartition(":")
        seq, last = int(text), self._last.get(stream, 0)
        seen = self._seen.setdefault(publisher, {})
        former = seen.get(number)
        if former is None:
            seen[number] = (event_id, connection)
            self.received += 1
        elif former[0] != event_id and keyed and former[1] != connection:
            self.repeats += 1
        else:
            self.duplicates.append(f"{publisher}/{number} as {former[0]} and as {event_id}")
            return False
        if seq <= last:
            self.disorder.append(f"{event_id} after {stream}:{last}")
        self._last[stream] = max(seq, last)
        return former is None

    def missing(self, acknowledged: dict[int, int]) -> list[str]:
        """What is not here of the numbers from 1 to the last one of each publisher."""
        return [
            f"{publisher}/{number}"
            for publisher, last in acknowledged.items()
            for number in range(1, last + 1)
            if number not in self._seen.get(publisher, {})
        ]

"""The registry as nodes notice it: leases, the list of members, and that it is away, deaf to some, or forgetful."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.clock import Clock
from wsnode.domain.mesh import Member

if TYPE_CHECKING:
    from tests.simulation.node import Node

LEASE = 5.0
ROUND = 0.4
"""Seconds between two heartbeats of a node."""


@dataclass(slots=True)
class _Lease:
    run: str
    until: float


class Registry:
    """Grants leases and says who is a member."""

    def __init__(self, clock: Clock) -> None:
        self.up = True
        self.deaf_to: set[str] = set()
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        self._outage = False

    def heal(self) -> None:
        """It is there, and hears everyone."""
        self.up, self.deaf_to = True, set()

    def forget(self) -> None:
        """It was restored from a backup that knows no node."""
        self._leases.clear()

    def reached_by(self, name: str) -> bool:
        """Whether a node gets an answer."""
        return self.up and name not in self.deaf_to

    def beat(self, node: Node) -> list[Member] | None:
        """A node renews its lease, or takes one; the members, or None: another run holds its lease."""
        now = self._clock.now
        lease = self._leases.get(node.name)
        if lease is not None and lease.until > now and lease.run not in (node.stream, node.disk.run):
            return None
        self._leases[node.name] = _Lease(node.stream, now + LEASE)
        return [Member(name, f"http://{name}") for name, lease in self._leases.items() if lease.until > now]

    def leave(self, node: Node) -> None:
        """A node gives its lease back."""
        lease = self._leases.get(node.name)
        if lease is not None and lease.run == node.stream:
            del self._leases[node.name]

    def pass_time(self) -> None:
        """An outage removes nobody: leases run from its end."""
        if not self.up:
            for lease in self._leases.values():
                lease.until = self._clock.now + LEASE

"""The registry's figures for Prometheus."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Iterable
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from wsmesh.contract import NodeState
from wsupdates.domain.members import Member

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """One set for each registry process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "wsupdates_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self.heartbeats = Counter("wsupdates_heartbeats", "Heartbeats accepted.", registry=self._registry)
        self.expiries = Counter("wsupdates_lease_expiries", "Leases that ran out.", registry=self._registry)
        self.sweep_failures = Counter(
            "wsupdates_sweep_failures", "Sweeps that the database did not answer.", registry=self._registry
        )
        self.waiting = Gauge("wsupdates_waiting", "Callers that wait for the next generation.", registry=self._registry)
        self.sweep_seconds = Histogram("wsupdates_sweep_seconds", "Time of one sweep.", registry=self._registry)
        self.write_seconds = Histogram(
            "wsupdates_database_write_seconds", "Time of one writing transaction.", registry=self._registry
        )
        self._generation = Gauge("wsupdates_generation", "The present generation.", registry=self._registry)
        self._nodes = Gauge("wsupdates_nodes", "Nodes by state.", ["state"], registry=self._registry)

    def render(self, generation: int, members: Iterable[Member]) -> bytes:
        """The page of all figures."""
        self._generation.set(generation)
        states = Count(member.node().state for member in members)
        for state in get_args(NodeState):
            self._nodes.labels(state).set(states[state])
        return generate_latest(self._registry)

"""Which node tells the webhooks of a channel: all nodes that know of the same nodes say the same."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping

from wsmesh.contract import NodeState

BUCKETS = 4_096
"""Channels fall into so many groups, and each group has one teller: so a node is found without asking a hundred hashes
for every channel."""


class Tellers:
    """Rendezvous hashing: when a node comes or goes, only its own share of the channels changes hands."""

    def __init__(self, nodes: Iterable[str]) -> None:
        self.nodes = frozenset(nodes)
        self._of: dict[int, str] = {}

    def of(self, app: str, channel: str) -> str | None:
        """The node that tells; None when there is no node."""
        if not self.nodes:
            return None
        bucket = _hash(f"{app}\n{channel}") % BUCKETS
        teller = self._of.get(bucket)
        if teller is None:
            teller = self._of[bucket] = max(self.nodes, key=lambda node: (_hash(f"{bucket}\n{node}"), node))
        return teller


def eligible(states: Mapping[str, NodeState], down: Collection[str]) -> set[str]:
    """The nodes that may tell, of those that the registry counts as members: the ready ones, or, where there are none,
    those that drain.
    """
    ready = {node for node, state in states.items() if state == "ready" and node not in down}
    return ready or {node for node, state in states.items() if state == "draining" and node not in down}


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())

"""Whether a node should get clients, and if not, why."""

from __future__ import annotations

from dataclasses import dataclass

from wsnode.domain.isolation import cut_off


@dataclass(frozen=True, slots=True)
class Situation:
    """What readiness depends on."""

    configured: bool
    joined: bool
    """Whether all peers have been greeted after the start."""
    draining: bool
    refused: str | None
    """Why the registry does not take this node."""
    registry_reachable: bool
    registry_problem: str
    peers_expected: int
    peers_up: int


def reasons_against(now: Situation) -> list[str]:
    """Why the node is not ready; an empty list says that it is."""
    reasons = []
    if now.draining:
        reasons.append("draining: this node is about to stop")
    if now.refused is not None:
        reasons.append(f"refused: the registry does not take this node: {now.refused}")
    if not now.configured:
        if now.refused is None:
            missing = now.registry_problem or "the registry has none yet"
            reasons.append(f"no configuration: none on the disk, and {missing}")
    elif not now.joined:
        reasons.append("joining: not all peers have been greeted yet")
    elif cut_off(peers_expected=now.peers_expected, peers_up=now.peers_up, registry_reachable=now.registry_reachable):
        reasons.append(f"isolated: none of {now.peers_expected} peers answers, nor does the registry")
    return reasons

"""A node says why it should get no clients."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wsnode.domain.readiness import Situation, reasons_against

GOOD = Situation(
    configured=True,
    joined=True,
    draining=False,
    refused=None,
    registry_reachable=True,
    registry_problem="",
    peers_expected=2,
    peers_up=2,
)


def test_a_node_in_good_order_is_ready() -> None:
    """Nothing stands against a node that has joined."""
    assert reasons_against(GOOD) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"draining": True}, "draining: this node is about to stop"),
        ({"joined": False}, "joining: not all peers have been greeted yet"),
        (
            {"configured": False, "registry_problem": "it is away"},
            "no configuration: none on the disk, and it is away",
        ),
        ({"refused": "n1 is taken"}, "refused: the registry does not take this node: n1 is taken"),
        (
            {"refused": "n1 is taken", "configured": False},
            "refused: the registry does not take this node: n1 is taken",
        ),
        (
            {"peers_up": 0, "registry_reachable": False},
            "isolated: none of 2 peers answers, nor does the registry",
        ),
    ],
)
def test_each_reason_is_named(change: dict[str, object], reason: str) -> None:
    """Each trouble is told in one line that says what is wrong."""
    assert reasons_against(replace(GOOD, **change)) == [reason]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"registry_reachable": False},
        {"peers_up": 0},
        {"peers_up": 0, "peers_expected": 0, "registry_reachable": False},
    ],
)
def test_a_node_that_still_hears_somebody_stays_ready(change: dict[str, object]) -> None:
    """Without the registry, without its peers, or alone by design, a node goes on."""
    assert reasons_against(replace(GOOD, **change)) == []  # type: ignore[arg-type]

"""When a node counts as cut off from the others, and when its clients are moved on."""

from __future__ import annotations

from typing import Any

import pytest

from wsnode.domain.isolation import Isolation, Standing

ALONE: dict[str, Any] = {"peers_expected": 2, "peers_up": 0, "registry_reachable": False}


def standings(grace: float, *moments: tuple[float, dict[str, Any]]) -> list[Standing]:
    """What is said at each of these moments of what the node reaches then."""
    isolation = Isolation(grace)
    return [isolation.look(now, **(ALONE | reached)) for now, reached in moments]


def test_clients_are_moved_on_after_the_grace() -> None:
    """A node that reaches nobody is isolated at once, and moves its clients on when that has lasted for the grace."""
    assert standings(10, (100, {}), (109.9, {}), (110, {}), (500, {})) == ["isolated", "isolated", "moving", "moving"]


def test_without_a_grace_they_are_moved_on_at_once() -> None:
    """A grace of nothing is none."""
    assert standings(0, (100, {})) == ["moving"]


@pytest.mark.parametrize("reached", [{"peers_up": 1}, {"registry_reachable": True}])
def test_whoever_is_reached_again_ends_it(reached: dict[str, Any]) -> None:
    """One peer, or the registry, is enough, before the grace is over and after; the next time it begins anew."""
    assert standings(10, (0, {}), (9, reached), (12, {}), (21, {}), (22, {}), (23, reached), (24, {})) == [
        "isolated",
        "together",
        "isolated",
        "isolated",
        "moving",
        "together",
        "isolated",
    ]


@pytest.mark.parametrize("reached", [{"peers_up": 1}, {"registry_reachable": True}, {"peers_expected": 0}])
def test_a_node_that_hears_somebody_or_is_the_only_one_is_never_isolated(reached: dict[str, Any]) -> None:
    """Without the registry, without its peers, or alone by design, it keeps its clients for as long as it likes."""
    assert standings(0, (0, reached), (1e6, reached)) == ["together", "together"]

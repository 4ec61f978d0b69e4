"""The promises of docs/guarantees.md, over thousands of simulated runs full of faults."""

from __future__ import annotations

import os

import pytest

from tests.simulation.replay import broken, report
from tests.simulation.scenario import play

SEEDS = int(os.environ.get("SEEDS", "2000"))
BLOCK = 100


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_seeds_keep_the_promises(first: int) -> None:
    """No acknowledged message is lost, none is delivered twice or out of order, whatever fails meanwhile."""
    bad = broken(range(first, min(first + BLOCK, SEEDS)))
    assert not bad, report(bad[0])


def test_a_seed_replays_to_the_last_message() -> None:
    """The same seed gives the same run, so that a failure can be looked at again."""
    one, other = play(7), play(7)
    assert one.trace == other.trace
    assert (one.requests, one.bytes, one.published) == (other.requests, other.bytes, other.published)


def test_the_runs_are_full_of_faults() -> None:
    """The simulated runs contain what they are meant to survive."""
    worlds = [play(seed) for seed in range(60)]
    trace = [line for world in worlds for line in world.trace]
    for word in ("kill", "pause", "cut", "weather", "registry up=False"):
        assert sum(word in line for line in trace) > 20, word
    assert sum(len(world.acknowledged) for world in worlds) > 60 * 50
    assert (
        sum(
            inbox.duplicates
            for world in worlds
            for run in world.runs.values()
            for inbox in run.mesh.streams.inboxes.values()
        )
        > 500
    )
    assert sum(run.mesh.streams.pulls for world in worlds for run in world.runs.values()) > 500

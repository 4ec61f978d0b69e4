"""The promises of docs/guarantees.md, over thousands of simulated runs full of faults."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.simulation.replay import broken, report
from tests.simulation.scenario import HAPPENINGS, STEPS, play, script_of

SEEDS = int(os.environ.get("SEEDS", "2000"))
BLOCK = 50


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_seeds_keep_the_promises(first: int) -> None:
    """Whatever fails meanwhile, clients, publishers and nodes see what docs/guarantees.md promises them."""
    bad = broken(range(first, min(first + BLOCK, SEEDS)))
    assert not bad, report(bad[0])


def test_a_seed_replays_to_the_last_message() -> None:
    """The same seed gives the same run, so that a failure can be looked at again."""
    assert play(7).fingerprint() == play(7).fingerprint()
    assert play(7).fingerprint() != play(8).fingerprint()


def test_a_seed_replays_in_another_process() -> None:
    """Also where strings have other hashes, a seed gives the same run."""
    code = "from tests.simulation.scenario import play; print([play(seed).fingerprint() for seed in (2, 9)])"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": hashseed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hashseed in ("0", "1", "2")
    }
    assert len(runs) == 1


def test_the_runs_are_full_of_faults() -> None:
    """The simulated runs contain what they are meant to survive, and clients, publishers and nodes live through it."""
    assert STEPS >= 300
    kinds = Counter(step.kind for seed in range(40) for step in script_of(seed))
    assert all(kinds[kind] > 20 for kind in HAPPENINGS), kinds
    worlds = [play(seed) for seed in range(40)]
    models = [world.model for world in worlds]
    assert sum(len(model.acknowledged) for model in models) > 40 * 50
    assert sum(model.delivered_to_clients for model in models) > 40 * 100
    assert sum(model.recoveries for model in models) > 40 * 5
    assert sum(model.losses.total() for model in models) > 40
    assert sum(model.repeats for model in models) > 40
    assert sum(model.moves for model in models) > 40
    assert sum(model.gaps for model in models) > 0
    streams = [node.mesh.streams for world in worlds for node in world.nodes.values()]
    assert sum(stream.duplicates for stream in streams) > 200
    assert sum(stream.pulls for stream in streams) > 200

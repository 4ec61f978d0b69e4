"""Run seeds by hand: `python -m tests.simulation.replay --seeds 100000`, or one with its trace: `… --seed 42`.

A seed that breaks a promise is printed with the shortest run that breaks it, and how it came to that.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.scenario import STEPS, play
from tests.simulation.world import Violation, World

TRACE_LINES = 40
BLOCK = 50


def shortest(seed: int) -> tuple[int, World, Violation]:
    """The fewest steps of a seed that still break a promise, the world after them, and the promise."""
    for steps in range(1, STEPS + 1):
        worlds: list[World] = []
        try:
            play(seed, steps=steps, made=worlds.append)
        except Violation as violation:
            return steps, worlds[0], violation
    raise ValueError(f"seed {seed} breaks no promise")


def report(seed: int) -> str:
    """What to print of a seed that breaks a promise."""
    steps, world, violation = shortest(seed)
    lines = [f"seed {seed}, after {steps} steps: {violation}", *world.trace[-TRACE_LINES:]]
    return "\n".join([*lines, f"replay it: make simulate SEED={seed}"])


def broken(seeds: Iterable[int]) -> list[int]:
    """The seeds that break a promise."""
    found = []
    for seed in seeds:
        try:
            play(seed)
        except Violation:
            found.append(seed)
    return found


def main() -> int:
    """Run what the command line asks for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="run one seed and print its trace")
    parser.add_argument("--seeds", type=int, default=2_000, help="run so many seeds (default 2000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default 0)")
    options = parser.parse_args()
    if options.seed is not None:
        if broken([options.seed]):
            print(report(options.seed))
            return 1
        print("\n".join(play(options.seed).trace))
        print(f"seed {options.seed} keeps all promises")
        return 0
    blocks = [
        range(at, min(at + BLOCK, options.first + options.seeds))
        for at in range(options.first, options.first + options.seeds, BLOCK)
    ]
    bad: list[int] = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, found in enumerate(pool.map(broken, blocks), 1):
            bad += found
            if sys.stderr.isatty() or number % 100 == 0:
                print(f"{number * BLOCK} of {options.seeds} seeds, {len(bad)} broken", end="\r", file=sys.stderr)
    print(f"{options.seeds} seeds, {len(bad)} broken a promise")
    for seed in bad[:3]:
        print(report(seed))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

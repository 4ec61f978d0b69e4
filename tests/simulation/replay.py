"""Run seeds by hand: `python -m tests.simulation.replay --seeds 100000`, or one with its trace: `… --seed 42`.

A seed that breaks a promise is printed with the shortest script that breaks it, and how it came to that.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.scenario import Step, breaks, play, script_of

TRACE_LINES = 60
BLOCK = 50
SHRINK_RUNS = 150
"""Runs, at most, that are spent to shorten a script."""


def shrunk(seed: int) -> list[Step]:
    """A part of the seed's script, without steps that do not matter, that breaks the same promise; some may remain."""
    script, runs = script_of(seed), SHRINK_RUNS
    found = breaks(seed, script)
    if found is None:
        raise ValueError(f"seed {seed} breaks no promise")
    kind = _kind(str(found[1]))
    size = len(script) // 2
    while size and runs:
        at = 0
        while at < len(script) and runs:
            shorter = script[:at] + script[at + size :]
            runs -= 1
            found = breaks(seed, shorter)
            if found is not None and _kind(str(found[1])) == kind:
                script = shorter
            else:
                at += size
        size //= 2
    return script


def report(seed: int) -> str:
    """What to print of a seed that breaks a promise."""
    script = shrunk(seed)
    found = breaks(seed, script)
    assert found is not None
    world, violation = found
    lines = [f"seed {seed}, {len(script)} of its steps: {violation}", *world.model.trace[-TRACE_LINES:]]
    return "\n".join([*lines, f"replay it: make simulate SEED={seed}"])


def broken(seeds: Iterable[int]) -> list[int]:
    """The seeds that break a promise."""
    return [seed for seed in seeds if breaks(seed) is not None]


def _kind(text: str) -> str:
    """A violation without what differs from run to run."""
    return re.sub(r"\S*\d\S*|\b[a-f]\b|\[.*?\]", "?", text)


def _run_many(first: int, number: int) -> int:
    end, began = first + number, time.monotonic()
    blocks = [range(at, min(at + BLOCK, end)) for at in range(first, end, BLOCK)]
    bad: list[int] = []
    done = 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for block, found in zip(blocks, pool.map(broken, blocks), strict=True):
            bad += found
            done += len(block)
            for seed in found:
                print(f"\nseed {seed} breaks a promise", flush=True)
            if sys.stderr.isatty() or done % (20 * BLOCK) == 0 or done == number:
                left = (time.monotonic() - began) / done * (number - done)
                text = (
                    f"{done} of {number} seeds, {len(bad)} broken, {left:.0f} s left; go on with --first {block.stop}"
                )
                print(text, end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)
    print(f"\n{number} seeds from {first} on, {len(bad)} broke a promise")
    for seed in bad[:3]:
        print(report(seed))
    return 1 if bad else 0


def main() -> int:
    """Run what the command line asks for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="run one seed and print its trace")
    parser.add_argument("--seeds", type=int, default=2_000, help="run so many seeds (default 2000)")
    parser.add_argument(
        "--first", type=int, default=0, help="the first of them (default 0); to go on where one stopped"
    )
    options = parser.parse_args()
    if options.seed is None:
        return _run_many(options.first, options.seeds)
    if breaks(options.seed) is not None:
        print(report(options.seed))
        return 1
    print("\n".join(play(options.seed).model.trace))
    print(f"seed {options.seed} keeps all promises")
    return 0


if __name__ == "__main__":
    sys.exit(main())

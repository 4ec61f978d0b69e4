#!/usr/bin/env python3
"""Run Molecule scenarios: `molecule test` of each, two at a time, each with a folder and a log of its own.

    scripts/scenarios.py                    the site, and beside it the roles one after the other
    scripts/scenarios.py site haproxy       these only

Each scenario's state and log are in build/molecule/. A scenario that fails does not end the others; the end of its log
is shown, and the exit status is 1. Ctrl-C destroys what runs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build/molecule"
SITE = "site"
ROLES = tuple(sorted(path.parent.parent.name for path in ROOT.glob("roles/*/molecule/default")))
SHOWN = 80
"""Lines of a failed scenario's log that are shown."""


class Scenario:
    """One scenario: where it runs, and what it has said."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.log = FOLDER / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def test(self, environment: dict[str, str]) -> bool:
        """Run all of it; whether it passed."""
        return self._molecule("test", environment, "w")

    def destroy(self, environment: dict[str, str]) -> None:
        """End what an interrupted run left."""
        self._molecule("destroy", environment, "a")

    def interrupt(self) -> None:
        """End the run, with all that it has started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)

    def end_of_log(self) -> str:
        """The last lines that it said."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-SHOWN:])

    def _molecule(self, verb: str, environment: dict[str, str], mode: str) -> bool:
        with self.log.open(mode) as log:
            self._process = subprocess.Popen(  # noqa: S603 (the arguments are ours)
                [ROOT / "tests/hosts/scenario", self.name, verb],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            return self._process.wait() == 0


def say(text: str) -> None:
    """One line of progress."""
    print(f"· {text}", file=sys.stderr, flush=True)


def lanes(names: list[str]) -> Iterator[list[Scenario]]:
    """What runs at the same time: the site, and the roles, whose hosts are few."""
    for lane in ([SITE], [name for name in names if name != SITE]):
        if chosen := [Scenario(name) for name in lane if name in names]:
            yield chosen


def main() -> int:
    """Run what is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", choices=[[], SITE, *ROLES], default=[], help="site, or a role; all if none")
    names = parser.parse_args().name or [SITE, *ROLES]
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    given = {
        **os.environ,
        "DEPLOY_VENV": str(Path(sys.executable).parents[1]),
        "WSMESH_PYTHON": str(ROOT / os.environ.get("VENV", ".venv") / "bin/python"),
        "NO_COLOR": "1",
    }
    failed: list[Scenario] = []
    stopped = threading.Event()

    def run(lane: list[Scenario]) -> None:
        for scenario in lane:
            if stopped.is_set():
                return
            say(f"{scenario.name}: started, its log is {scenario.log.relative_to(ROOT)}")
            began = time.monotonic()
            passed = scenario.test(given)
            say(f"{scenario.name}: {'passed' if passed else 'FAILED'} after {time.monotonic() - began:.0f} s")
            if not passed:
                failed.append(scenario)

    def stop(*_: object) -> None:
        stopped.set()
        for scenario in running:
            scenario.interrupt()

    chosen = list(lanes(names))
    running = [scenario for lane in chosen for scenario in lane]
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    threads = [threading.Thread(target=run, args=[lane]) for lane in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for scenario in failed:
        if stopped.is_set():
            scenario.destroy(given)
        else:
            print(f"\n--- {scenario.name}: the end of {scenario.log.relative_to(ROOT)}\n{scenario.end_of_log()}")
    print(f"{len(names) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or stopped.is_set() else 0


if __name__ == "__main__":
    sys.exit(main())

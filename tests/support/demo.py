"""`make demo` and its kin, called as a person or a script would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wsmesh_demo.ports import FreePorts

ROOT = Path(__file__).parents[2]
SECONDS = 60


class Demo:
    """One demo in a folder of its own, on ports of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._running: list[subprocess.Popen[str]] = []

    def command(self, target: str, **variables: object) -> list[str]:
        """`make …`, with the Python that runs the tests, so nothing is installed."""
        fixed = {"BOOTSTRAP": "true", "VENV": sys.prefix, "DEMO_DIR": self.folder, "PORT": self.port}
        return ["make", target, *(f"{name}={value}" for name, value in {**fixed, **variables}.items())]

    def make(self, target: str, **variables: object) -> subprocess.CompletedProcess[str]:
        """Run `make target` to its end."""
        return subprocess.run(
            self.command(target, **variables), cwd=ROOT, capture_output=True, text=True, timeout=SECONDS
        )

    def start(self, *, until: str = "ready in", **variables: object) -> subprocess.Popen[str]:
        """`make demo` in the foreground, in a process group of its own as a shell makes it; returns at a line of it."""
        process = subprocess.Popen(
            self.command("demo", **variables),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if until in line:
                return process
        raise AssertionError(f"the demo never said {until!r}: {''.join(said)}")

    @property
    def cluster(self) -> dict[str, Any]:
        """What cluster.json says."""
        found: dict[str, Any] = json.loads((self.folder / "cluster.json").read_text())
        return found

    def pid(self, node: int) -> int | None:
        """The process of node 1, 2, 3 …, if it runs."""
        found: int | None = self.cluster["nodes"][node - 1]["pid"]
        return found

    def leftovers(self) -> list[str]:
        """The processes of this demo that run: their environment or command names its folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                except OSError:
                    continue
                if str(self.folder).encode() in told and state != "Z":
                    found.append(f"{entry.name} {(entry / 'cmdline').read_text().replace(chr(0), ' ')}")
        return found

    def wait_until_nothing_runs(self) -> None:
        """Fail when something of this demo still runs after some seconds."""
        deadline = time.monotonic() + 15
        while left := self.leftovers():
            assert time.monotonic() < deadline, f"still running: {left}"
            time.sleep(0.05)

    def close(self) -> None:
        """End it, whatever the test did to it."""
        self.make("demo-stop")
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@contextmanager
def a_demo(folder: Path) -> Iterator[Demo]:
    """A demo that is ended after the test."""
    free = FreePorts(5)
    demo = Demo(folder, free.ports.port)
    try:
        yield demo
    finally:
        demo.close()
        free.close()

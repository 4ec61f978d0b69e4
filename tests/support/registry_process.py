"""The real `wsupdates` as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.ports import free_port

PROGRAM = Path(sys.executable).parent / "wsupdates"
ADMIN_KEY = "integration-tests-0123456789"


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process: the settings and what any program needs."""
    return {"PATH": os.environ["PATH"], "LOG_FORMAT": "json", **settings}


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run `wsupdates` to its end."""
    return subprocess.run(
        [PROGRAM, *arguments], env=environment(settings), capture_output=True, text=True, timeout=30, check=False
    )


class Registry:
    """A registry that runs. `url` is where."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._log = log

    @property
    def log(self) -> str:
        """What it logged until now."""
        return self._log.read_text()

    def wait_ready(self) -> None:
        """Return when it is ready; fails with its log when it is not in time."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(f"not ready: {self.log}")

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait(15)


@contextmanager
def serving(
    tmp_path: Path, settings: Mapping[str, str], *arguments: str, port: int | None = None
) -> Iterator[Registry]:
    """A registry that is ready, gone afterwards."""
    port = port or free_port()
    log = tmp_path / f"registry-{port}.log"
    settings = {"API_KEY": ADMIN_KEY, "PORT": str(port), **settings}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [PROGRAM, "serve", *arguments], env=environment(settings), stdout=out, stderr=subprocess.STDOUT
        )
    found = Registry(process, port, log)
    try:
        found.wait_ready()
        yield found
    finally:
        if process.poll() is None:
            found.kill()

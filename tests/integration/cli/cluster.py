"""Real processes for the command line: a registry, a node, and `wsmesh` itself."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.support.ports import free_port
from wsmesh.cli.main import app

BIN = Path(sys.executable).parent
START_SECONDS = 30
NOTHING_SET: dict[str, str | None] = {
    "COLUMNS": "200",
    **dict.fromkeys(("WS_UPDATES_URL", "WS_UPDATES_KEY", "WS_UPDATES_CA", "WSMESH_URL", "WSMESH_CA")),
    **dict.fromkeys(("WSMESH_APP", "WSMESH_APP_KEY", "WSMESH_APP_SECRET", "WSMESH_PUBLISH_KEY")),
}
"""What the developer's own environment says is not seen."""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Command:
    """`wsmesh` with an environment of its own, in a folder of its own; it runs in this process."""

    folder: Path
    environ: Mapping[str, str]

    def __call__(self, *arguments: str, stdin: str | bytes = b"", **environ: str) -> Done:
        """Run to the end."""
        with contextlib.chdir(self.folder):
            found = CliRunner().invoke(
                app, arguments, input=stdin, env={**NOTHING_SET, **self.environ, **environ}, prog_name="wsmesh"
            )
        unforeseen = found.exception is not None and not isinstance(found.exception, SystemExit)
        assert not unforeseen, found.exception
        return Done(found.exit_code, found.stdout, found.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run as a process of its own; whoever starts it waits for its end."""
        return subprocess.Popen(
            [BIN / "wsmesh", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **self.environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def status_of(url: str) -> int | None:
    """The HTTP status of a GET, or None when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as problem:
        return problem.code
    except OSError:
        return None


def post(url: str, key: str, body: Mapping[str, str]) -> None:
    """Send JSON with an API key."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status in (200, 201)


def until(what: str, condition: Callable[[], bool]) -> None:
    """Ask until it is so."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {START_SECONDS} seconds"
        time.sleep(0.05)


@contextmanager
def running(program: str, environ: Mapping[str, str], folder: Path, ready: str) -> Iterator[subprocess.Popen[bytes]]:
    """A service from its readiness to its end; its log is in the folder."""
    log = folder / f"{program}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [BIN / program], env={"PATH": os.environ["PATH"], **environ}, cwd=folder, stdout=out, stderr=out
        )
        try:

            def is_ready() -> bool:
                assert process.poll() is None, log.read_text()
                return status_of(ready) == 200

            until(f"{program}: {ready}", is_ready)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@dataclass(frozen=True)
class Registry:
    """A registry that runs."""

    url: str
    admin_key: str


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """Run `wsupdates` on SQLite."""
    port, key = free_port(), secrets.token_urlsafe(32)
    environ = {"PORT": str(port), "DB_PATH": str(folder / "registry.sqlite3"), "API_KEY": key}
    with running("wsupdates", environ, folder, f"http://127.0.0.1:{port}/readyz"):
        yield Registry(f"http://127.0.0.1:{port}", key)


@contextmanager
def node(folder: Path, at: Registry, node_key: str, node_id: str) -> Iterator[str]:
    """Run `wsnode`; gives the URL of its client port."""
    port, mesh_port = free_port(), free_port()
    environ = {
        "NODE_ID": node_id,
        "PORT": str(port),
        "MESH_PORT": str(mesh_port),
        "WS_UPDATES_URL": at.url,
        "WS_UPDATES_KEY": node_key,
        "CLUSTER_KEY": secrets.token_urlsafe(32),
        "STATE_DIR": str(folder / node_id),
        "DRAIN_SECONDS": "0",
    }
    with running("wsnode", environ, folder, f"http://127.0.0.1:{port}/readyz"):
        yield f"http://127.0.0.1:{port}"

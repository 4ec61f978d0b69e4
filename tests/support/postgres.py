"""A PostgreSQL server of the tests' own: the system's packages, a folder and a port of its own, gone with the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import free_port

USER = "postgres"


@contextmanager
def server() -> Iterator[str]:
    """Run a server; yields the URL of its `postgres` database. It ends with this process, even if that is killed."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="wsmesh-postgres-"))
    data = folder / "data"
    log = folder / "log"
    become: list[str] = []
    if os.geteuid() == 0:
        owner = pwd.getpwnam(USER)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        become = ["setpriv", f"--reuid={USER}", f"--regid={owner.pw_gid}", "--init-groups"]
    try:
        arguments = ["--auth=trust", f"--username={USER}", "--no-sync", "--encoding=UTF8", "--locale=C"]
        _run([*become, str(programs / "initdb"), "--pgdata", str(data), *arguments])
        port = free_port()
        options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-c", "fsync=off", "-c", "max_connections=60"]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [
                    *(become or ["setpriv"]),
                    "--pdeathsig=SIGQUIT",
                    str(programs / "postgres"),
                    "-D",
                    str(data),
                    *options,
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        try:
            _wait(process, port, log)
            yield f"postgresql://{USER}@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(3)  # SIGQUIT: leave at once
            process.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found:
        return found[-1]
    on_path = shutil.which("initdb")
    if on_path is None:
        pytest.fail("PostgreSQL is not installed; `make setup` installs it")
    return Path(on_path).resolve().parent


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60)
    assert done.returncode == 0, done.stderr


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        if "ready to accept connections" in log.read_text(errors="replace"):
            return
        time.sleep(0.05)
    raise AssertionError(f"PostgreSQL did not start on port {port}: {log.read_text(errors='replace')}")

"""The folder of a running cluster: its lock, where everything is, logs and secrets. Nobody else may read it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import IO, Any

from wsmesh_demo.errors import DemoError

GOOD_FOR_SOCKETS = re.compile(r"/[A-Za-z0-9_@+=,./-]{1,70}")
"""Folders for HAProxy's files: no spaces or quotes, and short, as the path of a Unix socket has at most 107 bytes."""

TEMPORARY = "wsmesh-demo-"


class StateFolder:
    """Files of one cluster, owned by the process that holds the lock."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.cluster_file = self.path / "cluster.json"
        self.logs = self.path / "logs"
        self._lock_file = self.path / "supervisor.pid"
        self._lock: IO[str] | None = None
        self.run = self.path / "run"
        """For HAProxy's files and for sockets."""

    def take(self, *, keep_logs: bool = False) -> None:
        """Make it ours and empty it. Raises DemoError when a cluster runs in it, or when it is another's folder."""
        if self.path.exists() and not self._lock_file.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise DemoError(f"{self.path} exists, and no demo made it; name another folder with DEMO_DIR=…")
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        lock = self._lock_file.open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise DemoError(
                f"a demo runs already (process {self.owner() or 'unknown'}; {self.cluster_file} says where): "
                "open its page, or end it with `make demo-stop`"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock
        self._clear(logs=not keep_logs)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        if GOOD_FOR_SOCKETS.fullmatch(str(self.run)):
            self.run.mkdir(mode=0o700)
        else:
            self.run = Path(tempfile.mkdtemp(prefix=TEMPORARY))

    def write_cluster(self, cluster: dict[str, Any]) -> None:
        """Say where everything is; whoever reads the file sees the old or the new state, never half of one."""
        draft = self.cluster_file.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(cluster, file, indent=2)
            file.write("\n")
        draft.replace(self.cluster_file)

    @property
    def control(self) -> Path:
        """The Unix socket on which the demo takes commands."""
        return self.run / "control.sock"

    def make_option(self) -> str:
        """What `make demo-kill` and its kin need to find this folder."""
        return "" if self.path == Path.cwd() / ".demo" else f" DEMO_DIR={shlex.quote(str(self.path))}"

    def read_cluster(self) -> dict[str, Any]:
        """Where everything is. Raises DemoError when no cluster runs."""
        try:
            found: dict[str, Any] = json.loads(self.cluster_file.read_text())
        except FileNotFoundError:
            raise DemoError("no demo runs here; start one with `make demo`") from None
        return found

    def release(self) -> None:
        """Remove everything but the logs, and let others start a cluster here."""
        self._clear(logs=False)
        shutil.rmtree(self.run, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()

    def sweep(self) -> None:
        """Remove what a cluster that could not clean up has left here. Raises DemoError while one runs."""
        if self._lock_file.exists():
            self.take(keep_logs=True)
            self.release()

    def owner(self) -> int | None:
        """The process that runs a cluster here, if one does."""
        try:
            with self._lock_file.open() as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    return int(lock.read().strip() or 0) or None
        except FileNotFoundError:
            pass
        return None

    def _clear(self, *, logs: bool) -> None:
        if self.cluster_file.exists() and self.run.parent == self.path:
            # A cluster that was killed may have had its sockets elsewhere (see `take`).
            elsewhere = Path(self.read_cluster()["control_socket"]).parent
            if elsewhere.name.startswith(TEMPORARY):
                shutil.rmtree(elsewhere, ignore_errors=True)
        for entry in self.path.iterdir():
            if entry == self._lock_file or (entry == self.logs and not logs):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

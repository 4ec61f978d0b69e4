"""What a node keeps on its disk: the last configuration, and the id of its last run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

import msgspec

from wsmesh.contract import ClusterConfig
from wsmesh.decoding import UNREADABLE
from wsmesh.settings import SettingsError
from wsnode.domain.messages import StreamId, stream_id


class StateDir:
    """A folder that one process holds at a time. Files are replaced whole, readable by their owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise SettingsError(
                f"STATE_DIR: cannot use {path}: {problem.strerror}; expected a folder that this service may write"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(
                f"STATE_DIR: {path} is in use by another running node; expected a folder for this node alone"
            ) from None

    def release(self) -> None:
        """Let another process have the folder."""
        os.close(self._lock)

    def last_run(self) -> str | None:
        """The stream id of the run before this one."""
        try:
            return (self._path / "run").read_text().strip() or None
        except OSError:
            return None

    def keep_run(self, stream: str) -> None:
        """Remember this run, so that the next one can show that it is the same node."""
        self._replace("run", stream.encode())

    def new_stream(self, node_id: str, started_at: float) -> StreamId:
        """The stream of the run that begins now, which no run that kept its own here has had."""
        try:
            stream = stream_id(node_id, started_at, (self._path / "stream").read_text().strip())
        except (OSError, ValueError):
            stream = stream_id(node_id, started_at)
        with contextlib.suppress(OSError):  # it matters only if the clock goes back as well
            self._replace("stream", stream.encode())
        return stream

    def last_config(self) -> ClusterConfig | None:
        """The last configuration that was kept, or None; a broken file counts as none."""
        try:
            return msgspec.json.decode((self._path / "config.json").read_bytes(), type=ClusterConfig)
        except (OSError, *UNREADABLE):
            return None

    def keep_config(self, config: ClusterConfig) -> None:
        """Remember a configuration for a start without the registry."""
        self._replace("config.json", msgspec.json.encode(config))

    def _replace(self, name: str, content: bytes) -> None:
        # A name of its own: a write of a cancelled task may still be going on in its thread.
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=self._path)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

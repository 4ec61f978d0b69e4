"""Files that are whole or absent, and the lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from haproxysync.reading import SettingsError


class Locked(Exception):
    """Another run holds the lock."""


def read_text(path: Path, setting: str) -> str | None:
    """The text of a file, None if there is none. Raises SettingsError that names `setting`."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(f"{setting}: {path} cannot be read: {problem}") from None


def write_text(
    path: Path, text: str, setting: str, *, like: Path | None = None, check: Callable[[Path], None] | None = None
) -> None:
    """Put a file in place in one step; nobody ever sees half of it.

    `check` may look at the finished file first and raise, then the old one stays. Mode and owner are those of the
    file before, else those of `like`, else 0644. Raises SettingsError that names `setting`.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as problem:
        raise SettingsError(f"{setting}: {path} cannot be written: {problem.strerror}") from None
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _set_rights(new, path, like)
        if check is not None:
            check(new)
        new.replace(path)
    except OSError as problem:
        raise SettingsError(f"{setting}: {path} cannot be written: {problem.strerror}") from None
    finally:
        new.unlink(missing_ok=True)


def _set_rights(new: Path, path: Path, like: Path | None) -> None:
    for model in (path, like):
        if model is not None and model.exists():
            stat = model.stat()
            new.chmod(stat.st_mode & 0o777)
            with contextlib.suppress(PermissionError):
                os.chown(new, stat.st_uid, stat.st_gid)
            return
    new.chmod(0o644)


@contextlib.contextmanager
def lock(path: Path, *, seconds: float) -> Iterator[None]:
    """Hold the lock; wait up to `seconds` for another run to end. Raises Locked, SettingsError."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise SettingsError(f"LOCK_FILE: {path} cannot be opened: {problem.strerror}") from None
    try:
        _acquire(handle, path, time.monotonic() + seconds)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Locked(f"another run holds {path}; nothing was changed") from None
            time.sleep(0.05)

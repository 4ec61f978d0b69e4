"""Run something in the background, but wait until it is ready, and show what it says until then."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

READY = b"\x00ready\n"


class Background:
    """The child's side: what it says reaches the waiting parent, and a log file once it is ready."""

    def ready(self, log: Path) -> None:
        """Tell the parent that it can go; what is said from here on goes to `log`."""
        os.write(1, READY)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)


def detached(main: Callable[[Background], int]) -> int:
    """Run `main` in a session of its own; 0 as soon as it is ready, else its exit code. No threads may run yet."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _become_daemon(write)
        code = 1
        try:
            code = main(Background())
        finally:
            os._exit(code)
    os.close(write)
    return _relay(child, read)


def _become_daemon(write: int) -> None:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(write, 1)
    os.dup2(write, 2)
    os.close(write)


def _relay(child: int, read: int) -> int:
    def pass_on(number: int, _: FrameType | None) -> None:
        os.kill(child, number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    with os.fdopen(read, "rb") as said:
        for line in said:
            if line == READY:
                return 0
            os.write(1, line)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) or 1

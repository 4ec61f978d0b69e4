"""What a service tells systemd about itself: sd_notify(3), in the few lines that it takes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping

EXTENSION = 60
"""Seconds by which a start that is alive but not ready puts off systemd's TimeoutStartSec, again and again."""


class Notifier:
    """Speaks to the socket that `environ` names; without one (no systemd, or `Type=simple`) it says nothing.

    A service manager that does not listen is no reason to fail: what cannot be sent is dropped.
    """

    def __init__(self, environ: Mapping[str, str], pid: int | None = None) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        meant = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid() if pid is None else pid))
        microseconds = environ.get("WATCHDOG_USEC", "")
        self._watchdog = int(microseconds) / 1e6 if meant and microseconds.isdigit() else 0.0
        self._ready = False

    @property
    def interval(self) -> float:
        """Seconds between two signs of life: a third of what the watchdog allows."""
        return self._watchdog / 3 if self._watchdog else EXTENSION / 3

    def ready(self, status: str) -> None:
        """The service does its work now; `status` is one line for `systemctl status`."""
        self._ready = True
        self._send("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """The service has begun to end."""
        self._send("STOPPING=1", f"STATUS={status}")

    def alive(self) -> None:
        """A sign of life: before the service is ready it puts the end of the start off, then it feeds the watchdog."""
        if not self._ready:
            self._send(f"EXTEND_TIMEOUT_USEC={EXTENSION * 1_000_000}")
        elif self._watchdog:
            self._send("WATCHDOG=1")

    async def keep_alive(self) -> None:
        """Give signs of life from the event loop until cancelled; a loop that is stuck gives none."""
        while self._address:
            self.alive()
            await asyncio.sleep(self.interval)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto("\n".join(lines).encode(), socket.MSG_DONTWAIT, self._address)

"""sd_notify: what reaches systemd, over a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wsmesh.notify import Notifier

WATCHDOG_USEC = "60000"  # a sign of life every 20 ms


class Manager:
    """systemd's end of the socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(5)

    def receive(self) -> list[str]:
        """The lines of the next datagram; fails when none comes."""
        return self.socket.recv(4096).decode().split("\n")

    def waiting(self) -> list[list[str]]:
        """All datagrams that are there now."""
        found = []
        self.socket.setblocking(False)
        try:
            while True:
                found.append(self.receive())
        except BlockingIOError:
            self.socket.settimeout(5)
            return found


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="wsmesh-") as folder:  # tmp_path can be longer than a socket's path may be
        yield Path(folder, "notify")


@pytest.fixture
def manager(path: Path) -> Iterator[Manager]:
    made = Manager(str(path))
    yield made
    made.socket.close()


def notifier(path: object, **environ: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": str(path), **environ}, pid=42)


def test_ready_status_and_stopping(manager: Manager, path: Path) -> None:
    """Each turn of a service's life is one datagram, with a line for `systemctl status`."""
    told = notifier(path)
    told.status("waiting")
    told.ready("serving")
    told.stopping("draining")
    assert manager.waiting() == [["STATUS=waiting"], ["READY=1", "STATUS=serving"], ["STOPPING=1", "STATUS=draining"]]


def test_an_abstract_socket() -> None:
    """A name that begins with @ is an abstract socket."""
    name = f"wsmesh-test-{os.getpid()}-{time.monotonic_ns()}"
    manager = Manager(f"\0{name}")
    notifier(f"@{name}").ready("serving")
    assert manager.receive() == ["READY=1", "STATUS=serving"]
    manager.socket.close()


async def test_without_systemd_nothing_happens() -> None:
    """Without NOTIFY_SOCKET nothing is sent, and there is nothing to keep alive."""
    told = Notifier({})
    told.ready("serving")
    told.stopping("draining")
    async with asyncio.timeout(1):
        await told.keep_alive()


def test_a_manager_that_is_gone_is_no_failure(path: Path) -> None:
    """A socket that nobody listens on does not end the service."""
    notifier(path).ready("serving")


async def test_the_watchdog_is_fed_by_the_loop(manager: Manager, path: Path) -> None:
    """Once ready, signs of life come three times in each period of the watchdog."""
    told = notifier(path, WATCHDOG_USEC=WATCHDOG_USEC, WATCHDOG_PID="42")
    told.ready("serving")
    assert told.interval == pytest.approx(0.02)
    manager.waiting()
    living = asyncio.create_task(told.keep_alive())
    assert [await asyncio.to_thread(manager.receive) for _ in range(3)] == [["WATCHDOG=1"]] * 3
    living.cancel()


async def test_a_loop_that_is_stuck_feeds_no_watchdog(manager: Manager, path: Path) -> None:
    """While the loop does not turn, no sign of life is sent."""
    told = notifier(path, WATCHDOG_USEC=WATCHDOG_USEC)
    told.ready("serving")
    living = asyncio.create_task(told.keep_alive())
    await asyncio.sleep(0)
    manager.waiting()
    time.sleep(0.1)  # noqa: ASYNC251 (this is the stuck loop)
    assert manager.waiting() == []
    living.cancel()


@pytest.mark.parametrize("watchdog", [WATCHDOG_USEC, ""])
async def test_a_start_that_waits_puts_its_end_off(manager: Manager, path: Path, watchdog: str) -> None:
    """Until the service is ready it asks for another minute instead of feeding the watchdog."""
    told = notifier(path, WATCHDOG_USEC=watchdog)
    living = asyncio.create_task(told.keep_alive())
    assert await asyncio.to_thread(manager.receive) == ["EXTEND_TIMEOUT_USEC=60000000"]
    living.cancel()


@pytest.mark.parametrize("environ", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": WATCHDOG_USEC, "WATCHDOG_PID": "7"}])
def test_a_watchdog_that_is_not_ours(manager: Manager, path: Path, environ: dict[str, str]) -> None:
    """Without a watchdog, or with one that is meant for another process, none is fed."""
    told = notifier(path, **environ)
    told.ready("serving")
    manager.waiting()
    told.alive()
    assert manager.waiting() == []

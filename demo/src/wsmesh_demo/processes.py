"""One process of a cluster: its environment given explicitly, its output in a file, its life bound to ours."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sysconfig
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import aiohttp

from wsmesh_demo.errors import DemoError

TAIL_LINES = 15
SEARCH = f"{sysconfig.get_path('scripts')}:{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def program(name: str) -> str:
    """Where a program is: beside this Python, or in the system. Raises DemoError."""
    found = shutil.which(name, path=SEARCH)
    if found is None:
        raise DemoError(f"{name} is not installed; `make setup` installs what the demo needs")
    return found


def plain_environment() -> dict[str, str]:
    """What every process gets; all else it is told by name."""
    return {"PATH": SEARCH, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


class Process:
    """A child that dies with this process, whatever ends us: the kernel kills it (PR_SET_PDEATHSIG, by setpriv)."""

    def __init__(self, name: str, argv: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        """Secrets belong in `environ`, never in `argv`, which everyone on the machine can read."""
        self.name = name
        self.log = log
        self._argv = list(argv)
        self._environ = {**plain_environment(), **environ}
        self._child: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.pid is not None

    async def start(self) -> None:
        """Start it in a session of its own, so that a Ctrl-C in the terminal reaches us alone."""
        argv = [program("setpriv"), "--pdeathsig", "KILL", "--", program(self._argv[0]), *self._argv[1:]]
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._child = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=self._environ,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    async def ready(self, probe: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Wait until `probe` is true. Raises DemoError with the end of the log when it ends or takes too long."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not await probe():
            if self._child is None or self._child.returncode is not None:
                code = None if self._child is None else self._child.returncode
                raise DemoError(f"{self.name} ended at its start (exit code {code}).\n{self.tail()}")
            if asyncio.get_running_loop().time() > deadline:
                raise DemoError(f"{self.name} was not ready within {seconds:g} seconds.\n{self.tail()}")
            await asyncio.sleep(0.05)

    async def ended(self) -> int:
        """Wait for its end; its exit code (negative: the signal)."""
        assert self._child is not None
        return await self._child.wait()

    async def stop(self, seconds: float) -> None:
        """Ask it to end, and kill it if it has not after so many seconds."""
        if not self.signal(signal.SIGTERM):
            return
        try:
            async with asyncio.timeout(seconds):
                await self.ended()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.signal(signal.SIGKILL):
            await self.ended()

    def signal(self, number: signal.Signals) -> bool:
        """Send it a signal; False when it does not run."""
        if self._child is None or self._child.returncode is not None:
            return False
        try:
            self._child.send_signal(number)
        except ProcessLookupError:
            return False
        return True

    def tail(self) -> str:
        """The end of its log, for a message."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        shown = lines[-TAIL_LINES:] or ["(empty)"]
        return "\n".join([f"The end of {self.log}:", *(f"  | {line}" for line in shown)])


async def answers(url: str) -> bool:
    """Whether a GET of `url` is answered with 200."""
    timeout = aiohttp.ClientTimeout(total=2)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False

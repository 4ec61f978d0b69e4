"""Serving: addresses that cannot be had, starting, and stopping without cutting requests."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import count

import aiohttp
import pytest
from sanic import HTTPResponse, Request, Sanic, text

from wsmesh.serving import Listener, bind
from wsmesh.settings import SettingsError

names = count()


class Slow:
    """A request that answers when it is let."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.let = asyncio.Event()

    async def answer(self, _: Request) -> HTTPResponse:
        """Say that it began, and wait."""
        self.begun.set()
        await self.let.wait()
        return text("done")


class Served:
    """A listener on a free port, and a client of it."""

    def __init__(self) -> None:
        self.slow = Slow()
        app = Sanic(f"serving-{next(names)}", configure_logging=False)
        app.config.TOUCHUP = False
        app.add_route(self.slow.answer, "/slow")
        app.add_route(self.hello, "/")
        self.socket = bind("127.0.0.1", 0, "PORT")
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.listener = Listener(app, self.socket)
        self.http = aiohttp.ClientSession()

    async def hello(self, _: Request) -> HTTPResponse:
        """Answer at once."""
        return text("hello")

    async def get(self, path: str) -> str:
        """The body of an answer."""
        async with self.http.get(self.url + path) as answer:
            return await answer.text()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    server = Served()
    await server.listener.start()
    yield server
    server.slow.let.set()
    await server.listener.stop(0)
    await server.http.close()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_port_in_use_is_named(taken: int) -> None:
    """The error names the setting, the address and what to do."""
    with pytest.raises(SettingsError) as caught:
        bind("127.0.0.1", taken, "MESH_PORT")
    assert str(caught.value).startswith(f"MESH_PORT: cannot listen on 127.0.0.1 port {taken}: ")
    assert str(caught.value).endswith("; free it or choose another")
    assert "in use" in str(caught.value)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_of_another_machine_is_named(host: str) -> None:
    """An address that is not of this machine is an error of the setting too."""
    with pytest.raises(SettingsError, match=rf"^PORT: cannot listen on {host} port 0: .+; free it or choose another$"):
        bind(host, 0, "PORT")


def test_ipv6_is_bound() -> None:
    """An IPv6 address is listened on."""
    with bind("::1", 0, "PORT") as listening:
        assert listening.family == socket.AF_INET6


async def test_requests_are_served(served: Served) -> None:
    """A started listener answers."""
    assert await served.get("/") == "hello"


async def test_a_request_in_progress_is_finished(served: Served) -> None:
    """A stop takes no new connections, and waits for the request in progress no longer than it takes."""
    request = asyncio.create_task(served.get("/slow"))
    await served.slow.begun.wait()
    stop = asyncio.create_task(served.listener.stop(30))
    await refused(served)
    served.slow.let.set()
    async with asyncio.timeout(5):
        await stop
        assert await request == "done"


async def test_an_idle_connection_does_not_hold_up_a_stop(served: Served) -> None:
    """A client that keeps its connection open without a request is closed at once."""
    assert await served.get("/") == "hello"
    async with asyncio.timeout(5):
        await served.listener.stop(30)


async def test_a_request_that_takes_too_long_is_cut(served: Served) -> None:
    """After the grace the connection is cut, and the stop ends."""
    request = asyncio.create_task(served.get("/slow"))
    await served.slow.begun.wait()
    async with asyncio.timeout(5):
        await served.listener.stop(0.05)
        with pytest.raises(aiohttp.ClientError):
            await request


async def test_a_listener_that_never_started_can_be_stopped() -> None:
    """A stop before the start only gives the port back."""
    server = Served()
    await server.http.close()
    await server.listener.stop(1)
    assert server.socket.fileno() == -1


async def test_the_port_is_free_after_a_stop(served: Served) -> None:
    """Another process may have the port as soon as the stop is over."""
    await served.listener.stop(1)
    port = int(served.url.rpartition(":")[2])
    bind("127.0.0.1", port, "PORT").close()


async def refused(served: Served) -> None:
    """Wait until no new connection is taken; one that was waiting when the port closed is reset."""
    port = int(served.url.rpartition(":")[2])
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                return
            writer.close()
            await asyncio.sleep(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_ask_for_a_stop(number: signal.Signals) -> None:
    """SIGTERM and SIGINT set the event that `run` gives, and the process ends by itself."""
    program = (
        "from wsmesh.serving import run\n"
        "async def main(stop):\n"
        "    print('ready', flush=True)\n"
        "    await stop.wait()\n"
        "    print('stopped', flush=True)\n"
        "run(main)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            os.kill(process.pid, number)
            assert process.stdout.readline() == "stopped\n"
            assert process.wait(10) == 0
        finally:
            process.kill()

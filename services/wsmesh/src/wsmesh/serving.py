"""Run Sanic apps inside one event loop of ours: we bind, start, stop and handle signals."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from sanic import Sanic
from sanic.server.async_server import AsyncioServer

from wsmesh.settings import SettingsError

BACKLOG = 4096


def bind(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket. Raises SettingsError that names `setting` when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as problem:
        raise SettingsError(
            f"{setting}: cannot listen on {host} port {port}: {problem.strerror}; free it or choose another"
        ) from None


class Listener:
    """One Sanic app on one socket."""

    def __init__(
        self,
        app: Sanic[Any, Any],
        sock: socket.socket,
        *,
        tls: ssl.SSLContext | None = None,
        protocol: type[asyncio.Protocol] | None = None,
    ) -> None:
        self._app = app
        self._sock = sock
        self._tls = tls
        self._protocol = protocol
        self._server: AsyncioServer | None = None

    async def start(self) -> None:
        """Accept connections."""
        self._server = await self._app.create_server(
            sock=self._sock, ssl=self._tls, protocol=self._protocol, backlog=BACKLOG, access_log=False
        )
        assert self._server is not None
        await self._server.startup()
        await self._server.before_start()
        await self._server.after_start()

    async def stop(self, grace: float) -> None:
        """Accept no more, give requests in progress `grace` seconds, then cut what is left."""
        server = self._server
        if server is None:
            self._sock.close()
            return
        server.close()
        await server.before_stop()
        deadline = asyncio.get_running_loop().time() + grace
        while server.connections and asyncio.get_running_loop().time() < deadline:
            for connection in list(server.connections):
                connection.close_if_idle()  # again and again: a kept connection turns idle after its last answer
            await asyncio.sleep(0.02)  # Sanic's set of connections has no event to wait for
        for connection in list(server.connections):
            connection.abort()
        await server.after_stop()


def run(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `main` under uvloop; the event it gets is set by SIGTERM or SIGINT."""

    async def with_signals() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    uvloop.run(with_signals())

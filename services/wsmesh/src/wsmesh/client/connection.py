"""The socket edge of the client: it does what `protocol` and `reconnect` decide."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from random import Random
from types import TracebackType
from typing import Self
from urllib.parse import quote

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from wsmesh import __version__
from wsmesh.client.protocol import VERSION, Authorize, Connected, Item, Lost, Session, Step, unsubscription
from wsmesh.client.reconnect import Reconnect

MAX_FRAME_BYTES = 8 * 1024 * 1024
OPEN_TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
RETRIED_STATUS = (408, 425, 429)


class Stopped(Exception):
    """The server said not to come back: `code` is a close code from 4000 to 4099, `reason` its text."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason or 'no reason given'} ({code})")
        self.code = code
        self.reason = reason


class Unreachable(Exception):
    """Trying again would not help: there is no such path at this URL, or its certificate is not trusted."""


class Client:
    """A subscriber that stays connected. Iterating drives it: whoever does not iterate does not answer pings.

    Iterating yields what happens (`Item`) and ends only with `Stopped` or `Unreachable`; a connection lost for another
    reason is an item, and the next one is opened when the protocol's close codes and full jitter allow it.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        authorize: Authorize | None = None,
        tls: ssl.SSLContext | None = None,
        reconnect: Reconnect | None = None,
    ) -> None:
        """`url` is the cluster's (`https://…`) or a node's; `tls` the context for `https`, none: the system's."""
        scheme, _, rest = url.rstrip("/").partition("://")
        scheme = {"https": "wss", "http": "ws"}.get(scheme, scheme)
        self._url = (
            f"{scheme}://{rest}/app/{quote(key, safe='')}?protocol={VERSION}&client=wsmesh&version={__version__}"
        )
        self._tls = (tls or ssl.create_default_context()) if scheme == "wss" else None
        self._authorize = authorize
        self._reconnect = reconnect or Reconnect(Random())  # noqa: S311 - jitter is no secret
        self._channels: dict[str, None] = {}
        self._session: Session | None = None
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._leave()

    async def subscribe(self, *channels: str) -> None:
        """Join channels, now and after every reconnect; the answer is an item."""
        for channel in channels:
            if channel not in self._channels:
                self._channels[channel] = None
                if self._session is not None:
                    await self._send(self._session.subscribe(channel).send)

    async def unsubscribe(self, channel: str) -> None:
        """Leave a channel."""
        if self._channels.pop(channel, 0) is None and self._session is not None and self._session.socket_id is not None:
            await self._send([unsubscription(channel)])

    async def __aiter__(self) -> AsyncIterator[Item]:
        clock = asyncio.get_running_loop().time
        while True:
            code, reason = None, ""
            try:
                socket = self._socket = await self._open()
                session = self._session = Session(self._channels, self._authorize, clock())
                while code is None:
                    step = await self._next(socket, session)
                    for item in step.items:
                        if isinstance(item, Connected):
                            self._reconnect.connected(clock())
                        yield item
                    if step.close is not None:
                        code, reason = step.close
            except ConnectionClosed as end:
                code, reason = (end.rcvd.code, end.rcvd.reason) if end.rcvd else (1006, "the connection broke")
            except (OSError, InvalidHandshake, TimeoutError) as problem:
                reason = _why(problem)
            finally:
                await self._leave()
            wait = self._reconnect.lost(code, clock())
            if wait is None:
                raise Stopped(code or 0, reason)
            yield Lost(code, reason, wait)
            await asyncio.sleep(wait)

    async def _open(self) -> ClientConnection:
        return await connect(
            self._url,
            ssl=self._tls,
            proxy=None,
            compression=None,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            ping_interval=None,  # the protocol has pings of its own
            max_size=MAX_FRAME_BYTES,
        )

    async def _next(self, socket: ClientConnection, session: Session) -> Step:
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(session.next_tick(clock())):
                text = await socket.recv(decode=True)
        except TimeoutError:
            step = session.tick(clock())
        else:
            step = session.received(text, clock())
        for frame in step.send:
            await socket.send(frame)
        return step

    async def _send(self, frames: list[str]) -> None:
        """Send outside of the iteration; a connection that broke meanwhile subscribes anew when it is back."""
        with contextlib.suppress(ConnectionClosed):
            for frame in frames:
                if self._socket is not None:
                    await self._socket.send(frame)

    async def _leave(self) -> None:
        socket, self._socket, self._session = self._socket, None, None
        if socket is not None:
            await socket.close()


def _why(problem: Exception) -> str:
    """One line on a connection that never began. Raises Unreachable when another attempt would end the same way."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        raise Unreachable(f"the server's certificate is not trusted: {problem.verify_message}") from None
    if isinstance(problem, InvalidStatus):
        status = problem.response.status_code
        if 400 <= status < 500 and status not in RETRIED_STATUS:
            raise Unreachable(f"the server answered {status} to the WebSocket handshake; is this the URL?") from None
        return f"the server answered {status} to the WebSocket handshake"
    if isinstance(problem, TimeoutError):
        return f"no answer in {OPEN_TIMEOUT:g} seconds"
    if isinstance(problem, ConnectionRefusedError):
        return "the connection was refused"
    return str(problem) or type(problem).__name__

"""The async client: the socket edge, which does what `protocol`, `resume` and `reconnect` decide."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from wsmesh.channels import kind_of
from wsmesh.client.authorization import AsyncAuthorize, Authorization, NotAuthorized
from wsmesh.client.items import Connected, Item, Lost, Refused
from wsmesh.client.protocol import Session, Step, unsubscription
from wsmesh.client.reconnect import Reconnect
from wsmesh.client.subscriber import CONNECTION, ENDS, Stopped, Subscriber, how_it_ended


class Client(Subscriber):
    """A subscriber that stays connected and misses nothing, or says so.

    Iterating drives it and yields what happens (`Item`): whoever does not iterate does not answer the server's pings.
    It ends only with `Stopped` or `Unreachable`. A connection lost for another reason is an item; the next one is
    opened when the protocol's close codes and full jitter allow it, and every channel goes on from where it was.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        authorize: AsyncAuthorize | None = None,
        tls: ssl.SSLContext | None = None,
        reconnect: Reconnect | None = None,
    ) -> None:
        """`url` is the cluster's (`https://…`) or a node's; `tls` the context for `https`, none: the system's.

        `authorize` is asked for the proof that private and presence channels want, anew for each connection.
        """
        super().__init__(url, key, tls, reconnect)
        self._authorize = authorize
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._leave()

    async def subscribe(self, *channels: str, position: Mapping[str, int] | None = None) -> None:
        """Join channels, now and after every reconnect; the answer is an item.

        With a stored `position` they go on from there; none: from now. A channel that was joined before stays as it is.
        """
        socket, session = self._socket, self._session
        if joined := self._join(channels, position):
            assert socket is not None
            assert session is not None
            with contextlib.suppress(ConnectionClosed):  # it is subscribed to when the connection is back
                for refused in await self._subscribe(socket, session, joined):
                    raise NotAuthorized(refused.message)

    async def unsubscribe(self, channel: str) -> None:
        """Leave a channel, and forget where this client was in it."""
        if self._part(channel) and self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(unsubscription(channel))

    async def __aiter__(self) -> AsyncIterator[Item]:
        clock = asyncio.get_running_loop().time
        while True:
            code: int | None = None
            reason = ""
            try:
                socket = self._socket = await self._open()
                session = self._session = Session(self._channels, self._resume, clock())
                while code is None:
                    step = await self._next(socket, session)
                    for item in step.items:
                        if isinstance(item, Connected):
                            self._reconnect.connected(clock())
                        yield item
                    if step.close is not None:
                        code, reason = step.close
            except ENDS as problem:
                code, reason = how_it_ended(problem)
            finally:
                await self._leave()
            wait = self._reconnect.lost(code, clock())
            if wait is None:
                raise Stopped(code or 0, reason)
            yield Lost(code, reason, wait)
            await asyncio.sleep(wait)

    async def _open(self) -> ClientConnection:
        return await connect(self._url, ssl=self._tls, **CONNECTION)

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
        step.items.extend(await self._subscribe(socket, session, step.join))
        return step

    async def _subscribe(self, socket: ClientConnection, session: Session, channels: Iterable[str]) -> list[Refused]:
        """Subscribe to channels; gives those for which there is no proof."""
        refused = []
        for channel in channels:
            try:
                proof = await self._proof(session, channel)
            except NotAuthorized as problem:
                refused.append(Refused(channel, str(problem)))
            else:
                if channel in self._channels:
                    await socket.send(session.subscription(channel, proof))
        return refused

    async def _proof(self, session: Session, channel: str) -> Authorization | None:
        if self._authorize is None or not kind_of(channel).signed:
            return None
        proof = self._authorize(session.socket_id or "", channel)
        return await proof if inspect.isawaitable(proof) else proof

    async def _leave(self) -> None:
        socket, self._socket, self._session = self._socket, None, None
        if socket is not None:
            await socket.close()

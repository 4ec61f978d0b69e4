"""The sync client: the same decisions as the async one, for programs without an event loop."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from wsmesh.channels import kind_of
from wsmesh.client.authorization import Authorize, NotAuthorized
from wsmesh.client.items import Connected, Item, Lost, Refused
from wsmesh.client.protocol import Session, Step, unsubscription
from wsmesh.client.reconnect import Reconnect
from wsmesh.client.subscriber import CONNECTION, ENDS, Stopped, Subscriber, how_it_ended


class SyncClient(Subscriber):
    """`Client` without a loop: iterating blocks, and one thread iterates.

    `subscribe`, `unsubscribe` and `close` may be called by other threads; `close` ends the iteration.
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
        """As for `Client`; `authorize` is no coroutine."""
        super().__init__(url, key, tls, reconnect)
        self._authorize = authorize
        self._socket: ClientConnection | None = None
        self._lock = threading.RLock()
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration, and the connection."""
        self._closed.set()
        socket = self._socket
        if socket is not None:
            socket.close()

    def subscribe(self, *channels: str, position: Mapping[str, int] | None = None) -> None:
        """Join channels, as with `Client`."""
        with self._lock:
            socket, session = self._socket, self._session
            if joined := self._join(channels, position):
                assert socket is not None
                assert session is not None
                with contextlib.suppress(ConnectionClosed):
                    for refused in self._subscribe(socket, session, joined):
                        raise NotAuthorized(refused.message)

    def unsubscribe(self, channel: str) -> None:
        """Leave a channel, and forget where this client was in it."""
        with self._lock:
            if self._part(channel) and self._socket is not None:
                with contextlib.suppress(ConnectionClosed):
                    self._socket.send(unsubscription(channel))

    def __iter__(self) -> Iterator[Item]:
        while not self._closed.is_set():
            code: int | None = None
            reason = ""
            try:
                for step in self._steps():
                    for item in step.items:
                        if isinstance(item, Connected):
                            self._reconnect.connected(time.monotonic())
                        yield item
                    if step.close is not None:
                        code, reason = step.close
            except ENDS as problem:
                code, reason = how_it_ended(problem)
            if self._closed.is_set():
                return
            wait = self._reconnect.lost(code, time.monotonic())
            if wait is None:
                raise Stopped(code or 0, reason)
            yield Lost(code, reason, wait)
            self._closed.wait(wait)

    def _steps(self) -> Iterator[Step]:
        """What one connection brings, up to a step that closes it."""
        with connect(self._url, ssl=self._tls, **CONNECTION) as socket:
            try:
                with self._lock:
                    session = self._session = Session(self._channels, self._resume, time.monotonic())
                    self._socket = socket
                while not self._closed.is_set():
                    step = self._next(socket, session)
                    yield step
                    if step.close is not None:
                        return
            finally:
                with self._lock:
                    self._socket = self._session = None
                socket.close()

    def _next(self, socket: ClientConnection, session: Session) -> Step:
        try:
            text = socket.recv(session.next_tick(time.monotonic()), decode=True)
        except TimeoutError:
            text = None
        with self._lock:
            now = time.monotonic()
            step = session.tick(now) if text is None else session.received(text, now)
            for frame in step.send:
                socket.send(frame)
            step.items.extend(self._subscribe(socket, session, step.join))
        return step

    def _subscribe(self, socket: ClientConnection, session: Session, channels: Iterable[str]) -> list[Refused]:
        """Subscribe to channels; gives those for which there is no proof."""
        refused = []
        for channel in channels:
            proof = None
            try:
                if self._authorize is not None and kind_of(channel).signed:
                    proof = self._authorize(session.socket_id or "", channel)
            except NotAuthorized as problem:
                refused.append(Refused(channel, str(problem)))
            else:
                if channel in self._channels:
                    socket.send(session.subscription(channel, proof))
        return refused

"""The writing side of a client's connection: nothing waits for a client, and what it does not read is bounded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from wsnode.domain import close_codes
from wsnode.domain.close_codes import Close
from wsnode.web.backlog import CHUNK, Backlog

if TYPE_CHECKING:
    from wsnode.domain.session import Session
    from wsnode.web.clients import Clients


class Outgoing(asyncio.Protocol):
    """Writes what is `pending` when it is flushed.

    What a client does not read waits in the transport, up to a limit; beyond it the client is closed. Events that it
    has missed may be far more: they, and all that comes meanwhile, wait in a backlog and are written as it reads.
    """

    __slots__ = ("_backlog", "_clients", "_direct", "_left", "_session", "_transport", "due", "pending")

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._session: Session | None = None
        self._transport: asyncio.Transport
        self._left = False
        self._direct = True
        self._backlog: Backlog | None = None
        self.due: int | None = None
        self.pending: list[bytes] = []

    # --- for whoever has the connection

    def flush(self) -> None:
        """Write what is pending now."""
        raise NotImplementedError

    def close(self, close: Close) -> None:
        """Begin to end the connection."""
        raise NotImplementedError

    def check(self, now: float) -> None:
        """The time has come that the wheel was told."""
        raise NotImplementedError

    def abort(self) -> None:
        """End the connection without a word."""
        self._transport.abort()

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._transport.get_write_buffer_size() + (self._backlog.bytes if self._backlog is not None else 0)

    # --- what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._clients.max_unsent_bytes)
        self._clients.connections.add(self)

    def pause_writing(self) -> None:
        """Unsent bytes passed the limit."""
        if self._backlog is not None:
            self._backlog.paused = True
        elif self._session is not None:
            self._slow()

    def resume_writing(self) -> None:
        """The client has read: go on with what it has missed."""
        if self._backlog is not None:
            self._backlog.paused = False
            self._feed(self._backlog)

    # --- for the kinds of connections

    def _write_pending(self) -> None:
        pending = self.pending
        if not pending:
            return
        if self._direct:
            self._transport.write(pending[0] if len(pending) == 1 else b"".join(pending))
        elif self._backlog is not None and not self._backlog.add(pending, self._clients.max_unsent_bytes):
            self._slow()
        pending.clear()

    def _begin_backlog(self, backlog: Backlog) -> None:
        """Write through a backlog until it is empty."""
        self._backlog = backlog
        self._direct = False
        self._transport.set_write_buffer_limits(high=CHUNK)

    def _drop_backlog(self) -> None:
        """Give up on what has not been written: the connection is about to end."""
        if self._backlog is not None:
            self._backlog, self._direct = None, True
            self.pending.clear()

    def _feed(self, backlog: Backlog) -> None:
        while not backlog.paused and self._backlog is backlog:
            chunk = backlog.take()
            if not chunk:
                self._backlog, self._direct = None, True
                self._transport.set_write_buffer_limits(high=self._clients.max_unsent_bytes)
                return
            self._transport.write(chunk)

    def _slow(self) -> None:
        """Often comes from within a write, so what touches the hub must wait a moment."""
        self._backlog, self._direct = None, False
        asyncio.get_running_loop().call_soon(self._too_slow)

    def _too_slow(self) -> None:
        if self._session is not None:
            self._clients.slow += 1
            self.close(close_codes.TOO_SLOW)
            self._transport.close()

    def _leave(self) -> None:
        """The connection is no session any more; the wheel ends what the client does not."""
        if self._left:
            return
        self._left = True
        self._backlog, self._direct = None, False
        self.pending.clear()
        self._clients.see_out(self)
        if self._session is not None:
            session, self._session = self._session, None
            self._clients.left(session)

"""A client's WebSocket on the bare transport: no task, no queue and no request is kept for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from wsnode.domain import close_codes
from wsnode.domain.close_codes import Close
from wsnode.domain.frames import refusal
from wsnode.web.backlog import Backlog
from wsnode.web.outgoing import Outgoing

if TYPE_CHECKING:
    from wsnode.domain.session import Session
    from wsnode.web.clients import Clients

_log = logging.getLogger("wsnode.websocket")
_log.setLevel(logging.WARNING)  # the library tells of every close at INFO


def server_protocol(max_size: int) -> ServerProtocol:
    """The WebSocket rules of one connection, without I/O; no extension, as compression costs memory per connection."""
    return ServerProtocol(state=OPEN, max_size=max_size, logger=_log)


class Connection(Outgoing):
    """Reads through `websockets`' rules and hands text to the session."""

    __slots__ = ("_fragments", "_heard", "_pinged", "_ws")

    def __init__(self, clients: Clients, ws: ServerProtocol) -> None:
        super().__init__(clients)
        self._ws = ws
        self._fragments: list[bytes] | None = None
        self._heard = self._pinged = clients.now()

    # --- what the node does

    def open(self, session: Session) -> None:
        """Serve a client that was let in."""
        self._session = session
        session.edge = self
        self._clients.watch(self)

    def close(self, close: Close) -> None:
        """Start the closing handshake; the ticker ends what the peer does not.

        A `pusher:error` goes before it where the client must do more than reconnect, and before it was let in.
        """
        if self._ws.state is OPEN:
            self._drop_backlog()
            if close.code < 4200 or self._session is None:
                self.pending.append(refusal(close))
            self._ws.send_close(close.code, close.reason)
            self.flush()

    def flush(self) -> None:
        """Send what is pending, then what the WebSocket rules want sent, and go along when they end the connection."""
        transport = self._transport
        self._write_pending()
        if not self._ws.writes:
            return
        for data in self._ws.data_to_send():
            if data:
                transport.write(data)
            elif self._ws.close_rcvd is not None or not transport.can_write_eof():
                transport.close()
            else:
                transport.write_eof()  # an abrupt end could take the close frame away from a peer that still sends
        if self._ws.state is not OPEN:
            self._leave()

    def check(self, now: float) -> None:
        """Ping a silent client, close one that did not answer, and cut one that does not finish closing."""
        timeout, pong_timeout = self._clients.activity_timeout, self._clients.pong_timeout
        if self._ws.state is not OPEN:
            self._transport.abort()
        elif now - self._heard < timeout:
            self._clients.wheel.set(self, self._heard + timeout)
        elif self._pinged <= self._heard:
            self._pinged = now
            self._clients.pings += 1
            self._ws.send_ping(b"")
            self.flush()
            self._clients.wheel.set(self, now + pong_timeout)
        else:
            self.close(close_codes.NO_PONG)

    # --- what the transport tells

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client."""
        self._heard = self._clients.now()
        self._ws.receive_data(data)
        for event in self._ws.events_received():
            if self._session is None or self._ws.state is not OPEN:
                break
            self._received(cast("Frame", event), self._session)
        self.flush()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget everything."""
        sent, received = self._ws.close_sent, self._ws.close_rcvd
        first = received if self._ws.close_rcvd_then_sent else sent
        self._leave()
        self._clients.lost(self, first.code if first is not None else 1006)
        self._ws.parser.close()  # the generator and the protocol hold each other

    # ---

    def _received(self, frame: Frame, session: Session) -> None:
        now = self._heard
        if not session.allows(now):
            self.close(close_codes.TOO_MANY_MESSAGES)
        elif frame.opcode is Opcode.BINARY:
            self._ws.fail(*close_codes.NOT_TEXT)
        elif frame.opcode is Opcode.TEXT and frame.fin:
            self._text(bytes(frame.data), session, now)
        elif frame.opcode is Opcode.TEXT:
            self._fragments = [bytes(frame.data)]
        elif frame.opcode is Opcode.CONT and self._fragments is not None:
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                whole = b"".join(self._fragments)
                self._fragments = None
                self._text(whole, session, now)

    def _text(self, data: bytes, session: Session, now: float) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self._ws.fail(*close_codes.INVALID_UTF8)
            return
        frames, close, missed = session.received(text, now)
        self._clients.messages_in += 1
        self.pending += frames
        if missed:
            self._catch_up(missed)
        if close is not None:
            self.close(close)
        self._clients.after_change()

    def _catch_up(self, missed: Sequence[bytes]) -> None:
        """Write what the client has missed, after all that is pending and before anything new."""
        backlog = self._backlog
        self.flush()
        if backlog is None:
            if not self._direct:
                return
            backlog = Backlog()
            self._begin_backlog(backlog)
        backlog.add_missed(missed)
        self._feed(backlog)

    def _leave(self) -> None:
        self._fragments = None
        super()._leave()

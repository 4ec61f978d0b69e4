"""A client of server-sent events on the bare transport: it costs what a WebSocket does, and only listens."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wsnode.domain.close_codes import Close
from wsnode.domain.deliveries import Listening
from wsnode.domain.frames import refusal
from wsnode.domain.messages import StreamId
from wsnode.domain.sse import CONTENT_TYPE, HEARTBEAT, Texts, further, message, replay, retry, told
from wsnode.web.backlog import Backlog
from wsnode.web.outgoing import Outgoing

if TYPE_CHECKING:
    from wsnode.domain.session import Session
    from wsnode.web.clients import Clients

RETRY = 0.3, 1.3
"""Seconds, from and to, in which a client comes back: at random, so that those of a dead node do not come at once."""
RETRY_LATER = 1.0, 3.0
"""The same for those that come where no clients are taken now."""


def comes_back(between: tuple[float, float]) -> bytes:
    """A hint when to come back."""
    return retry(random.uniform(*between))  # noqa: S311


def head(headers: Mapping[str, str]) -> bytes:
    """The head of an answer that ends with the connection."""
    lines = {
        "Content-Type": CONTENT_TYPE,
        "Cache-Control": "no-cache, no-transform",
        "X-Accel-Buffering": "no",
        "Connection": "close",
        **headers,
    }
    return "".join(["HTTP/1.1 200 OK\r\n", *(f"{name}: {value}\r\n" for name, value in lines.items()), "\r\n"]).encode()


class Pending(list[bytes]):
    """Texts that wait to be written. Takes frames, as every client gets them."""

    __slots__ = ("ahead", "channels", "texts")

    def __init__(self, texts: Texts) -> None:
        super().__init__()
        self.texts = texts
        self.channels: set[str] = set()
        self.ahead: dict[StreamId, int] = {}

    def append(self, frame: bytes) -> None:
        """Take a frame."""
        super().append(self.texts.text(frame, self.channels, self.ahead))


class SseConnection(Outgoing):
    """Writes; whatever a client sends after its request is dropped."""

    __slots__ = ("_code", "_texts", "_told")

    def __init__(self, clients: Clients) -> None:
        super().__init__(clients)
        self.pending = self._texts = Pending(clients.texts)
        self._told = b""
        self._code = 1006

    # --- what the node does

    def open(
        self, session: Session, established: bytes, start: Mapping[StreamId, int], listening: Listening, first: bytes
    ) -> None:
        """Serve a client that was let in: write `first`, the answers, and what it has missed since `start`."""
        self._session = session
        session.edge = self
        self._texts.channels = session.channels
        self._texts.ahead = listening.ahead
        answers, missed = [message(frame) for frame in (established, *listening.answers)], listening.missed
        if not missed:
            answers[-1] = message(listening.answers[-1], listening.position)
        self._transport.write(b"".join([first, comes_back(RETRY), *answers]))
        if missed:
            self._replay(replay(missed, start, listening.position))
        self._watch(self._clients.now())

    def close(self, close: Close) -> None:
        """End the stream; the client comes back by itself, and learns then if it may not."""
        if self._left:
            return
        self._drop_backlog()
        if close.code < 4200:
            self.pending.append(refusal(close))
        self.flush()
        self._code = close.code
        self._leave()
        self._transport.close()

    def flush(self) -> None:
        """Write what is pending now."""
        self._write_pending()

    def check(self, now: float) -> None:
        """Say that the stream lives, and where it is if nothing else has said so; cut one that does not end."""
        if self._left:
            self._transport.abort()
            return
        self.flush()  # the position that is told must not come before what it includes
        if self._direct and self._session is not None:
            self._transport.write(self._sign_of_life(self._session, now))
        self._watch(now)

    # --- what the transport tells

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget everything."""
        self._leave()
        self._clients.lost(self, self._code)

    # ---

    def _watch(self, now: float) -> None:
        self._clients.wheel.set(self, now + self._clients.sse_heartbeat)

    def _sign_of_life(self, session: Session, now: float) -> bytes:
        hub, texts = self._clients.hub, self._texts
        if texts.ahead:
            texts.ahead = hub.ahead(session, now)
            return told(further(hub.position(), texts.ahead))
        before, self._told = self._told, texts.texts.told()
        return HEARTBEAT if self._told is before else self._told

    def _replay(self, missed: Iterator[bytes]) -> None:
        backlog = Backlog(missed)
        self._begin_backlog(backlog)
        self._feed(backlog)

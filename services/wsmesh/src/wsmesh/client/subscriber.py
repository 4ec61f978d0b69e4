"""What the async and the sync client have in common: everything but reading, writing and waiting."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from random import Random
from typing import Any
from urllib.parse import quote

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from wsmesh import __version__
from wsmesh.client.items import Position
from wsmesh.client.protocol import VERSION, Session
from wsmesh.client.reconnect import Reconnect
from wsmesh.client.resume import Resume

OPEN_TIMEOUT = 10.0
CONNECTION: dict[str, Any] = {
    "proxy": None,
    "compression": None,
    "open_timeout": OPEN_TIMEOUT,
    "close_timeout": 2.0,
    "ping_interval": None,  # the protocol has pings of its own
    "max_size": 8 * 1024 * 1024,
}
"""How `websockets` opens a connection."""

RETRIED_STATUS = (408, 425, 429)

ENDS = (ConnectionClosed, OSError, InvalidHandshake, TimeoutError)
"""How a connection ends, or does not begin, when it is not closed by this side."""


class Stopped(Exception):
    """The server said not to come back: `code` is a close code from 4000 to 4099, `reason` its text."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason or 'no reason given'} ({code})")
        self.code = code
        self.reason = reason


class Unreachable(Exception):
    """Trying again would not help: there is no such path at this URL, or its certificate is not trusted."""


class Subscriber:
    """The channels of a client, and where it is in them."""

    def __init__(self, url: str, key: str, tls: ssl.SSLContext | None, reconnect: Reconnect | None) -> None:
        scheme, _, rest = url.rstrip("/").partition("://")
        scheme = {"https": "wss", "http": "ws"}.get(scheme, scheme)
        self._url = (
            f"{scheme}://{rest}/app/{quote(key, safe='')}?protocol={VERSION}&client=wsmesh&version={__version__}"
        )
        self._tls = (tls or ssl.create_default_context()) if scheme == "wss" else None
        self._reconnect = reconnect or Reconnect(Random())  # noqa: S311 - jitter is no secret
        self._channels: dict[str, None] = {}
        self._resume = Resume()
        self._session: Session | None = None

    @property
    def duplicates(self) -> int:
        """Events that came a second time and were dropped."""
        return self._resume.dropped

    def position(self, channel: str) -> Position | None:
        """Where this client is in `channel`: past the last event that the iteration gave. None: not known yet.

        Store it, and give it to `subscribe` of another client later. `wsmesh.position` has a text form.
        """
        return self._resume.position(channel)

    def _join(self, channels: tuple[str, ...], position: Mapping[str, int] | None) -> list[str]:
        """Follow channels; gives those to subscribe to at once."""
        new = [channel for channel in dict.fromkeys(channels) if channel not in self._channels]
        for channel in new:
            self._channels[channel] = None
            self._resume.join(channel, position)
        session = self._session
        return [] if session is None else [channel for channel in new if session.join(channel)]

    def _part(self, channel: str) -> bool:
        """Follow a channel no more; whether the server should be told."""
        followed = self._channels.pop(channel, 0) is None
        self._resume.leave(channel)
        return followed and self._session is not None and self._session.socket_id is not None


def how_it_ended(problem: Exception) -> tuple[int | None, str]:
    """Close code and reason of a connection that ended with one of ENDS; the code is None if it never began.

    Raises Unreachable when another attempt would end the same way.
    """
    if isinstance(problem, ConnectionClosed):
        return (problem.rcvd.code, problem.rcvd.reason) if problem.rcvd else (1006, "the connection broke")
    return None, _why_none(problem)


def _why_none(problem: Exception) -> str:
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

"""The client's half of the Pusher protocol, without I/O: a text frame goes in, what to do comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from wsmesh.channels import kind_of
from wsmesh.signature import channel_auth

VERSION = 7
DEFAULT_ACTIVITY_TIMEOUT = 120.0
PONG_TIMEOUT = 30.0
CLOSING_ERRORS = range(4000, 4300)


class Event(NamedTuple):
    """A message of a channel; `data` is the text as published, `id` the event id, where the server gives one."""

    channel: str
    name: str
    data: str
    id: str | None = None
    user_id: str | None = None


class Connected(NamedTuple):
    """The server took the connection."""

    socket_id: str


class Subscribed(NamedTuple):
    """The server took the subscription to `channel`."""

    channel: str


class Refused(NamedTuple):
    """The server refused the subscription to `channel`; the connection goes on."""

    channel: str
    message: str


class Problem(NamedTuple):
    """The server, or this client, found something wrong with a message; the connection goes on."""

    code: int | None
    message: str


class Lost(NamedTuple):
    """The connection ended with a close `code` (None: it never began); the next attempt comes after `wait` seconds."""

    code: int | None
    reason: str
    wait: float


Item = Event | Connected | Subscribed | Refused | Problem | Lost


class Authorization(NamedTuple):
    """What a subscribe to a private or presence channel shows."""

    auth: str
    channel_data: str | None = None


Authorize = Callable[[str, str], Authorization]
"""`(socket id, channel)` to the proof that this client may join."""


def signer(key: str, secret: str, user_id: str = "wsmesh") -> Authorize:
    """Sign with the app's secret; `user_id` is who this client is in presence channels."""

    def authorize(socket_id: str, channel: str) -> Authorization:
        data = msgspec.json.encode({"user_id": user_id}).decode() if kind_of(channel).presence else None
        return Authorization(channel_auth(key, secret, socket_id, channel, data), data)

    return authorize


@dataclass(slots=True)
class Step:
    """What to do now: frames to send, items for the application, and whether to close."""

    send: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    close: tuple[int, str] | None = None


class _Frame(msgspec.Struct):
    event: str
    channel: str = ""
    data: Any = None
    id: str | None = None
    user_id: str | None = None


class Session:
    """One connection, from its handshake to its end. Times are seconds of any clock that only goes forward."""

    def __init__(self, channels: Iterable[str], authorize: Authorize | None, now: float) -> None:
        self.socket_id: str | None = None
        self._channels = list(channels)
        self._authorize = authorize
        self._activity_timeout = DEFAULT_ACTIVITY_TIMEOUT
        self._heard = now
        self._pinged: float | None = None

    def received(self, text: str, now: float) -> Step:
        """Take a text frame of the server."""
        self._heard, self._pinged = now, None
        step = Step()
        try:
            frame = msgspec.json.decode(text, type=_Frame)
        except (msgspec.DecodeError, UnicodeError) as problem:
            step.items.append(Problem(None, f"the server sent what is no frame of the protocol: {problem}"))
            return step
        match frame.event:
            case "pusher:connection_established":
                self._established(_object(frame.data), step)
            case "pusher:ping":
                step.send.append(_frame("pusher:pong", {}))
            case "pusher:pong":
                pass
            case "pusher_internal:subscription_succeeded":
                step.items.append(Subscribed(frame.channel))
            case "pusher:subscription_error":
                data = _object(frame.data)
                step.items.append(Refused(frame.channel, str(data.get("error") or data.get("message") or "no reason")))
            case "pusher:error":
                self._error(_object(frame.data), step)
            case _:
                step.items.append(Event(frame.channel, frame.event, _text(frame.data), frame.id, frame.user_id))
        return step

    def subscribe(self, channel: str) -> Step:
        """Join a channel; before the server has taken the connection it waits for that."""
        if self.socket_id is None:
            self._channels.append(channel)
            return Step()
        return Step(send=[self._subscription(channel, self.socket_id)])

    def tick(self, now: float) -> Step:
        """What silence asks for: a ping, or the end of a connection that does not answer one."""
        if self._pinged is not None and now - self._pinged >= PONG_TIMEOUT:
            return Step(close=(4201, f"no answer to a ping in {PONG_TIMEOUT:g} seconds"))
        if self._pinged is None and now - self._heard >= self._activity_timeout:
            self._pinged = now
            return Step(send=[_frame("pusher:ping", {})])
        return Step()

    def next_tick(self, now: float) -> float:
        """Seconds until `tick` has something to do, unless a frame comes first."""
        due = self._heard + self._activity_timeout if self._pinged is None else self._pinged + PONG_TIMEOUT
        return max(0.0, due - now)

    def _established(self, data: dict[str, Any], step: Step) -> None:
        socket_id = data.get("socket_id")
        if not isinstance(socket_id, str):
            step.close = (1002, "the server gave no socket id")
            return
        self.socket_id = socket_id
        timeout = data.get("activity_timeout")
        if isinstance(timeout, int | float) and timeout > 0:
            self._activity_timeout = float(timeout)
        step.items.append(Connected(socket_id))
        step.send.extend(self._subscription(channel, socket_id) for channel in self._channels)

    def _subscription(self, channel: str, socket_id: str) -> str:
        """A subscribe; resuming will add `position` here."""
        data: dict[str, str] = {"channel": channel}
        if kind_of(channel).signed and self._authorize is not None:
            proof = self._authorize(socket_id, channel)
            data["auth"] = proof.auth
            if proof.channel_data is not None:
                data["channel_data"] = proof.channel_data
        return _frame("pusher:subscribe", data)

    def _error(self, data: dict[str, Any], step: Step) -> None:
        code, message = data.get("code"), str(data.get("message") or "no reason")
        if isinstance(code, int) and code in CLOSING_ERRORS:
            step.close = (code, message)
        else:
            step.items.append(Problem(code if isinstance(code, int) else None, message))


def unsubscription(channel: str) -> str:
    """The frame that leaves a channel."""
    return _frame("pusher:unsubscribe", {"channel": channel})


def _frame(event: str, data: dict[str, Any]) -> str:
    return msgspec.json.encode({"event": event, "data": data}).decode()


def _object(data: Any) -> dict[str, Any]:
    """The protocol's own events carry an object, mostly encoded twice."""
    if isinstance(data, str):
        try:
            data = msgspec.json.decode(data)
        except msgspec.DecodeError:
            return {}
    return data if isinstance(data, dict) else {}


def _text(data: Any) -> str:
    if data is None:
        return ""
    return data if isinstance(data, str) else msgspec.json.encode(data).decode()

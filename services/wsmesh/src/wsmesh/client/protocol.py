"""The client's half of the Pusher protocol, without I/O: a text frame goes in, what to do comes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from wsmesh.client.authorization import Authorization
from wsmesh.client.items import Connected, Event, Item, Problem, Refused
from wsmesh.client.resume import Resume
from wsmesh.decoding import UNREADABLE

VERSION = 7
DEFAULT_ACTIVITY_TIMEOUT = 120.0
PONG_TIMEOUT = 30.0
CLOSING_ERRORS = range(4000, 4300)


@dataclass(slots=True)
class Step:
    """What to do now: frames to send, channels to subscribe to, items for the application, and whether to close."""

    send: list[str] = field(default_factory=list)
    join: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    close: tuple[int, str] | None = None


class _Frame(msgspec.Struct):
    event: str
    channel: str = ""
    data: Any = None
    id: str | None = None
    key: str | None = None
    user_id: str | None = None


class Session:
    """One connection, from its handshake to its end. Times are seconds of any clock that only goes forward."""

    def __init__(self, channels: Iterable[str], resume: Resume, now: float) -> None:
        self.socket_id: str | None = None
        self._channels = list(channels)
        self._resume = resume
        resume.connected()
        self._activity_timeout = DEFAULT_ACTIVITY_TIMEOUT
        self._heard = now
        self._pinged: float | None = None

    def received(self, text: str, now: float) -> Step:
        """Take a text frame of the server."""
        self._heard, self._pinged = now, None
        step = Step()
        try:
            frame = msgspec.json.decode(text, type=_Frame)
        except UNREADABLE as problem:
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
                step.items.append(self._resume.answered(frame.channel, _object(frame.data)))
            case "pusher_internal:position":
                self._resume.told(_object(frame.data), frame.channel or None)
            case "pusher:subscription_error":
                self._refused(frame.channel, _object(frame.data), step)
            case "pusher:error":
                self._error(_object(frame.data), step)
            case _ if self._resume.take(frame.channel, frame.id, frame.key, now):
                step.items.append(Event(frame.channel, frame.event, _text(frame.data), frame.id, frame.user_id))
        return step

    def join(self, channel: str) -> bool:
        """Whether to subscribe to one more channel now; otherwise it waits until the server takes the connection."""
        if self.socket_id is None:
            self._channels.append(channel)
        return self.socket_id is not None

    def subscription(self, channel: str, proof: Authorization | None) -> str:
        """The frame that subscribes to a channel, from where the client is."""
        data: dict[str, Any] = {"channel": channel, "position": self._resume.ask(channel)}
        if proof is not None:
            data["auth"] = proof.auth
            if proof.channel_data is not None:
                data["channel_data"] = proof.channel_data
        return _frame("pusher:subscribe", data)

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
        step.join.extend(self._channels)

    def _refused(self, channel: str, data: dict[str, Any], step: Step) -> None:
        reason = str(data.get("error") or data.get("message") or "no reason")
        if data.get("type") == "PositionError" and self._resume.refused(channel):
            step.items.append(Problem(None, f"the position in {channel} is of no use: {reason}"))
            step.join.append(channel)
        else:
            step.items.append(Refused(channel, reason))

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
        except UNREADABLE:
            return {}
    return data if isinstance(data, dict) else {}


def _text(data: Any) -> str:
    if data is None:
        return ""
    return data if isinstance(data, str) else msgspec.json.encode(data).decode()

"""What goes to clients: JSON text in an unmasked WebSocket frame, encoded once for all who get it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from wsnode.domain.close_codes import Close
from wsnode.domain.messages import StreamId

_json = msgspec.json.Encoder().encode


def frame(payload: bytes) -> bytes:
    """A whole text frame of a server (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def payload_of(text_frame: bytes) -> bytes:
    """The JSON text in a frame made by `frame`."""
    return text_frame[{126: 4, 127: 10}.get(text_frame[1], 2) :]


def system_event(event: str, data: object = None, channel: str | None = None) -> bytes:
    """The frame of an event of the protocol itself; `data` that is not None is a JSON string, as in protocol 7."""
    body: dict[str, Any] = {"event": event}
    if channel is not None:
        body["channel"] = channel
    if data is not None:
        body["data"] = _json(data).decode()
    return frame(_json(body))


def error(message: str, code: int | None = None) -> bytes:
    """The frame of a `pusher:error`, whose data is an object and no string."""
    return frame(_json({"event": "pusher:error", "data": {"code": code, "message": message}}))


def refusal(close: Close) -> bytes:
    """The `pusher:error` that goes before a close, for clients that do not look at close codes."""
    return error(close.reason, close.code)


def subscription_error(channel: str, kind: str, message: str, status: int) -> bytes:
    """The frame of a `pusher:subscription_error`: `{"type", "error", "status"}`."""
    return system_event("pusher:subscription_error", {"type": kind, "error": message, "status": status}, channel)


def succeeded(channel: str, data: object = None) -> bytes:
    """The frame of a `pusher_internal:subscription_succeeded`."""
    return system_event("pusher_internal:subscription_succeeded", {} if data is None else data, channel)


def position_told(position: Mapping[StreamId, int], channel: str | None = None) -> bytes:
    """The frame that tells a client that resumes what it has seen by now: of all its channels, or of one."""
    return system_event("pusher_internal:position", {"position": position}, channel)


def present(users: Mapping[str, str]) -> dict[str, Any]:
    """What the answer to a subscribe says of who is present; `users` have their info as JSON text."""
    infos = {user: Raw(info.encode()) for user, info in users.items()}
    return {"presence": {"ids": list(users), "hash": infos, "count": len(users)}}


def member_added(channel: str, user: str, info: str) -> bytes:
    """The frame that tells that a user came."""
    return system_event("pusher_internal:member_added", {"user_id": user, "user_info": Raw(info.encode())}, channel)


def member_removed(channel: str, user: str) -> bytes:
    """The frame that tells that a user is gone."""
    return system_event("pusher_internal:member_removed", {"user_id": user}, channel)


class ChannelEvents:
    """The frames of one event in each of its channels; what they share is encoded once."""

    __slots__ = ("_head", "_tail")

    def __init__(self, name: str, data: str, event_id: str, key: str | None = None) -> None:
        self._head = b'{"event":' + _json(name) + b',"channel":'
        self._tail = b',"data":' + _json(data) + b',"id":' + _json(event_id)
        self._tail += b"}" if key is None else b',"key":' + _json(key) + b"}"

    def frame(self, channel: str) -> bytes:
        """The frame of the event in `channel`."""
        return frame(self._head + _json(channel) + self._tail)

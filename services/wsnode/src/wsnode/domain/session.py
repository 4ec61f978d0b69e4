"""One client's side of the Pusher protocol 7: takes what it says, and answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import msgspec

from wsmesh import signature
from wsmesh.contract import App
from wsmesh.decoding import UNREADABLE
from wsnode.domain import close_codes
from wsnode.domain.close_codes import Close
from wsnode.domain.frames import error, subscription_error, system_event
from wsnode.domain.hub import Hub
from wsnode.domain.joining import NotAdmitted, admit_to
from wsnode.domain.member import NO_INFO, info_in
from wsnode.domain.position import WrongPosition, position_of
from wsnode.domain.rate import Bucket

BURST = 5
"""Seconds' worth of messages that a client may send at once."""

MAX_USER_ID = 200
"""Characters of a user id."""

_decode = msgspec.json.Decoder().decode


class Reply(NamedTuple):
    """Frames for the client, then perhaps the end of its connection."""

    frames: list[bytes]
    close: Close | None = None
    missed: Sequence[bytes] = ()
    """Events that follow the frames: as many as the history holds, and so perhaps more than fit at once."""


class Edge(Protocol):
    """The connection of a session; nothing in the domain uses it."""

    pending: list[bytes]
    """Frames that are written, all together, at the end of this turn of the loop."""

    def flush(self) -> None:
        """Write what is pending now. Never waits."""

    def close(self, close: Close) -> None:
        """Start the closing handshake."""


class Session:
    """A connection that was let in. `edge` is set and used by the edge alone."""

    __slots__ = (
        "_bucket",
        "_hub",
        "app_id",
        "channels",
        "edge",
        "key",
        "signed_in_at",
        "socket_id",
        "user",
        "user_info",
    )

    edge: Edge

    def __init__(self, hub: Hub, app: App, socket_id: str, rate: float, now: float) -> None:
        self._hub = hub
        self._bucket = Bucket(rate, rate * BURST, now)
        self.app_id = app.id
        self.key = app.key
        self.socket_id = socket_id
        self.user: str | None = None
        self.user_info = NO_INFO
        """What others in presence channels are told of the user, as JSON text."""
        self.signed_in_at = 0.0
        self.channels: set[str] = set()

    def established(self, activity_timeout: int) -> bytes:
        """The first frame: the socket id, and the seconds of silence after which the client should ping."""
        data = {"socket_id": self.socket_id, "activity_timeout": activity_timeout}
        return system_event("pusher:connection_established", data)

    def allows(self, now: float) -> bool:
        """Whether the client may send one more frame at `now`, seconds of any steady clock."""
        return self._bucket.take(now)

    def received(self, text: str, now: float) -> Reply:
        """Take a message of the client. Whatever is wrong with it is answered, and changes nothing."""
        app = self._hub.directory.by_id(self.app_id)
        if app is None:
            return Reply([], close_codes.UNKNOWN_APP)
        try:
            message = _decode(text)
        except UNREADABLE:
            return Reply([error("The message is not valid JSON")])
        if not isinstance(message, dict) or not isinstance(message.get("event"), str):
            return Reply([error('A message is a JSON object with a string "event"')])
        event: str = message["event"]
        if event.startswith("client-"):
            return Reply([error(close_codes.CLIENT_EVENT.reason, close_codes.CLIENT_EVENT.code)])
        handler = self._handlers.get(event)
        if handler is None:
            return Reply([error(f"Unknown event {event[:100]!r}")])
        data = _object(message.get("data"))
        if data is None:
            return Reply([error(f'The "data" of {event} must be an object')])
        return handler(self, app, data, now)

    def _ping(self, _app: App, _data: dict[str, Any], _now: float) -> Reply:
        return Reply([system_event("pusher:pong", {})])

    def _pong(self, _app: App, _data: dict[str, Any], _now: float) -> Reply:
        return Reply([])

    def _subscribe(self, app: App, data: dict[str, Any], now: float) -> Reply:
        name = data.get("channel")
        if not isinstance(name, str) or not name:
            return Reply([error('pusher:subscribe needs a "channel": a string of 1 to 164 characters')])
        if name in self.channels:
            return Reply([error(f"Existing subscription to channel {name}")])
        try:
            member = admit_to(self._hub, app, self, name, data)
            position = position_of(data["position"]) if data.get("position") is not None else None
            joined = self._hub.subscribe(self, app, name, now, position, member)
        except NotAdmitted as problem:
            return Reply([subscription_error(name, problem.kind, problem.message, problem.status)])
        except WrongPosition as problem:
            return Reply([subscription_error(name, "PositionError", str(problem), 400)])
        return Reply(joined.frames, missed=joined.missed)

    def _unsubscribe(self, _app: App, data: dict[str, Any], now: float) -> Reply:
        name = data.get("channel")
        if not isinstance(name, str) or not name:
            return Reply([error('pusher:unsubscribe needs a "channel": the name of a channel')])
        if name not in self.channels:
            return Reply([error(f"No current subscription to channel {name}")])
        self._hub.unsubscribe(self, name, now)
        return Reply([])

    def _signin(self, app: App, data: dict[str, Any], now: float) -> Reply:
        auth, user_data = data.get("auth"), data.get("user_data")
        if not isinstance(auth, str) or not isinstance(user_data, str):
            return Reply([error('pusher:signin needs "auth" and "user_data", both strings')])
        if not signature.same(auth, signature.user_auth(app.key, app.secret, self.socket_id, user_data)):
            return Reply([], close_codes.NOT_AUTHORISED)
        user = (_object(user_data) or {}).get("id")
        if not isinstance(user, str) or not 0 < len(user) <= MAX_USER_ID:
            return Reply([error(f'"user_data" must be a JSON object with an "id" of 1 to {MAX_USER_ID} characters')])
        if self.user not in (None, user):
            return Reply([error("This connection is signed in as another user")])
        self.user_info = info_in(user_data)
        self._hub.signed_in(self, user, now)
        return Reply([system_event("pusher:signin_success", {"user_data": user_data})])

    _handlers: ClassVar[dict[str, Callable[[Session, App, dict[str, Any], float], Reply]]] = {
        "pusher:subscribe": _subscribe,
        "pusher:unsubscribe": _unsubscribe,
        "pusher:signin": _signin,
        "pusher:ping": _ping,
        "pusher:pong": _pong,
    }


def new_socket_id(random_bits: Callable[[int], int]) -> str:
    """A socket id that is unique in the cluster: 62 random bits in the form that Pusher's libraries accept."""
    return f"{random_bits(31)}.{random_bits(31)}"


def _object(data: object) -> dict[str, Any] | None:
    """The object that `data` is, as itself or as a JSON string (some libraries send that); nothing is an empty one."""
    if isinstance(data, str):
        try:
            data = _decode(data) if data else None
        except UNREADABLE:
            return None
    if data is None:
        return {}
    return data if isinstance(data, dict) else None

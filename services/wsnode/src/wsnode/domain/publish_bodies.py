"""What publishers send, checked."""

from __future__ import annotations

import re
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from wsmesh.channels import kind_of, problem_with
from wsmesh.contract import App
from wsmesh.decoding import UNREADABLE
from wsnode.domain.directory import Directory
from wsnode.domain.messages import Event
from wsnode.domain.refused import Refused

MAX_CHANNELS = 100
MAX_BATCH = 10
MAX_NAME = 200
MAX_USER_ID = 200
MAX_KEY = 128
KEY_HEADER = "X-Idempotency-Key"

Acks = int | Literal["all"]
INFO = ("subscription_count", "user_count")

_AT = re.compile(r"(?P<message>.*?)(?: - at `\$\.?(?P<field>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_SOCKET_ID = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}")
_KEY = re.compile(rf"[ -~]{{1,{MAX_KEY}}}")
_USER_ID = re.compile(rf"[A-Za-z0-9_\-=@,.;]{{1,{MAX_USER_ID}}}")

T = TypeVar("T")


class EventBody(Struct, frozen=True):
    """Body of `POST /apps/{id}/events`, and one entry of a batch."""

    name: str
    data: str
    channels: list[str] | None = None
    channel: str | None = None
    socket_id: str | None = None
    info: str | None = None
    acks: Acks | None = None


class BatchBody(Struct, frozen=True):
    """Body of `POST /apps/{id}/batch_events`."""

    batch: list[EventBody]
    acks: Acks | None = None


def decode(body: bytes, shape: type[T]) -> T:
    """Read a JSON body. Raises Refused that names the field."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as problem:
        found = _AT.match(str(problem))
        message, field = (found["message"], found["field"] or "") if found else (str(problem), "")
        missing = _MISSING.search(message)
        if missing:
            field, message = f"{field}.{missing[1]}".removeprefix("."), "this field is required"
        raise Refused(400, "invalid_body", message, field or None) from None
    except UNREADABLE:
        raise Refused(400, "invalid_json", "the body is not valid JSON") from None


def check_batch(body: BatchBody) -> None:
    """Raise Refused when a batch is empty or too long."""
    if not 1 <= len(body.batch) <= MAX_BATCH:
        text = f"a batch has 1 to {MAX_BATCH} events, this one has {len(body.batch)}"
        raise Refused(400, "too_many_events" if body.batch else "invalid_body", text, "batch")


def check_key(key: str | None) -> None:
    """Raise Refused when this is no idempotency key."""
    if key is not None and not _KEY.fullmatch(key):
        text = f"an idempotency key has 1 to {MAX_KEY} printable ASCII characters"
        raise Refused(400, "invalid_idempotency_key", text, KEY_HEADER)


def event_of(body: EventBody, app: App, directory: Directory, at: str = "", key: str | None = None) -> Event:
    """The message that a body asks for; `at` stands before the names of fields in errors. Raises Refused."""
    if not 1 <= len(body.name) <= MAX_NAME:
        raise Refused(400, "invalid_name", f"the name of an event has 1 to {MAX_NAME} characters", at + "name")
    if body.name.startswith(("pusher:", "pusher_internal:")):
        raise Refused(400, "invalid_name", "names that begin with pusher: are the protocol's own", at + "name")
    channels = _channels(body, at)
    for channel in channels:
        limit = directory.rule_for(app, channel).max_data_bytes or app.limits.max_data_bytes
        if len(body.data.encode()) > limit:
            text = f"the data has {len(body.data.encode())} bytes, at most {limit} are allowed for {channel}"
            raise Refused(413, "data_too_large", text, at + "data")
    if body.socket_id is not None and not _SOCKET_ID.fullmatch(body.socket_id):
        raise Refused(400, "invalid_socket_id", "a socket id looks like 123.456", at + "socket_id")
    info_of(body.info, channels, at + "info")
    check_acks(body.acks, at + "acks")
    return Event(app=app.id, channels=channels, name=body.name, data=body.data, exclude=body.socket_id, key=key)


def info_of(info: str | None, channels: list[str], field: str = "info", extra: tuple[str, ...] = ()) -> list[str]:
    """The attributes that `info` asks for, for these channels (or prefixes of channels). Raises Refused."""
    wanted = [word.strip() for word in (info or "").split(",") if word.strip()]
    for word in wanted:
        if word not in INFO + extra:
            raise Refused(400, "invalid_info", f"info may ask for {', '.join(INFO + extra)}", field)
        if word == "user_count" and not all(kind_of(channel).presence for channel in channels):
            raise Refused(400, "invalid_info", "only presence channels have a user_count", field)
    return wanted


def check_acks(acks: Acks | None, field: str = "acks") -> None:
    """Raise Refused for a negative number."""
    if isinstance(acks, int) and acks < 0:
        raise Refused(400, "invalid_acks", "acks is 0, 1, 2 … or all", field)


def acks_in_query(text: str | None) -> Acks | None:
    """The query parameter `acks`. Raises Refused."""
    if text is None or text == "all":
        return "all" if text else None
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise Refused(400, "invalid_acks", "acks is 0, 1, 2 … or all", "acks")
    return int(text)


def check_channel(name: str, field: str = "channel") -> None:
    """Raise Refused when this is no channel name."""
    problem = problem_with(name)
    if problem is not None:
        raise Refused(400, "invalid_channel", problem, field)


def check_user(user: str) -> None:
    """Raise Refused when this is no user id."""
    if not _USER_ID.fullmatch(user):
        text = f"a user id has 1 to {MAX_USER_ID} of the characters A-Z a-z 0-9 _ - = @ , . ;"
        raise Refused(400, "invalid_user", text, "user")


def _channels(body: EventBody, at: str) -> list[str]:
    if (body.channel is None) == (body.channels is None):
        raise Refused(400, "invalid_channel", "give either channels or channel", at + "channels")
    channels = [body.channel] if body.channel is not None else list(dict.fromkeys(body.channels or ()))
    if len(body.channels or ()) > MAX_CHANNELS:
        text = f"an event goes to at most {MAX_CHANNELS} channels, this one names {len(body.channels or ())}"
        raise Refused(400, "too_many_channels", text, at + "channels")
    if not channels:
        raise Refused(400, "invalid_channel", "an event goes to at least one channel", at + "channels")
    for number, channel in enumerate(channels):
        check_channel(channel, at + ("channel" if body.channel is not None else f"channels[{number}]"))
    return channels

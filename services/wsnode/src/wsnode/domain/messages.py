"""What streams carry: messages, numbered 1, 2, 3 … by the node that accepted them."""

from __future__ import annotations

from typing import Any, get_args

from msgspec import Raw, Struct, ValidationError, msgpack, structs

StreamId = str
"""`<node id>~<start time, milliseconds, base 36>`: one run of one node."""


class Event(Struct, frozen=True, tag="event", omit_defaults=True):
    """A publish: `data` goes to the subscribers of each channel, but not to the connection `exclude`."""

    app: str
    channels: list[str]
    name: str
    data: str
    exclude: str | None = None
    """Socket id of the connection that caused the publish and must not get it back."""
    key: str | None = None
    """Idempotency key: of several events of the app with the same one, each node delivers the first that comes."""


class Terminate(Struct, frozen=True, tag="terminate"):
    """All connections that are signed in as this user are to be closed."""

    app: str
    user: str


class SubscriptionCount(Struct, frozen=True, tag="count"):
    """How many connections of the message's node are subscribed to a channel whose rule counts them."""

    app: str
    channel: str
    count: int


class Join(Struct, frozen=True, tag="join", omit_defaults=True):
    """A user is present in a presence channel at the message's node: its first connection there has subscribed."""

    app: str
    channel: str
    user: str
    info: str = "{}"
    """What others are told of the user, as JSON text."""


class Leave(Struct, frozen=True, tag="leave"):
    """A user's last connection at the message's node has left a presence channel."""

    app: str
    channel: str
    user: str


Notice = SubscriptionCount | Join | Leave
"""What a node says of its own clients: it counts for as long as the node is there."""


class Unknown(Struct, frozen=True, tag="unknown"):
    """A payload of a kind that only a newer version knows: it is kept and passed on, and nothing else becomes of it."""

    kind: str


class CacheMiss(Struct, frozen=True, tag="cache_miss"):
    """A client has subscribed to a cache channel that has no last event, and a webhook is to be told."""

    app: str
    channel: str


class HookEvent(Struct, frozen=True, array_like=True, omit_defaults=True):
    """Something that a webhook is told of a channel."""

    name: str
    channel: str
    user: str = ""
    """Whom `member_added` and `member_removed` are about."""
    number: int = 0
    """The `subscription_count`."""
    miss: str = ""
    """The event id of the CacheMiss that a `cache_miss` is about."""


class WebhookDecided(Struct, frozen=True, tag="decided"):
    """A webhook is to be told these events, whoever does it in the end. The first one's id is `<event id>/0`."""

    app: str
    webhook: str
    events: list[HookEvent]


class WebhookTold(Struct, frozen=True, tag="told"):
    """A webhook has been told the events with these ids, or they were given up: nobody else is to tell them."""

    app: str
    webhook: str
    ids: list[str]


WebhookPayload = CacheMiss | WebhookDecided | WebhookTold

Payload = Event | Terminate | Notice | WebhookPayload | Unknown


class Message(Struct, frozen=True, array_like=True):
    """One entry of a stream."""

    seq: int
    payload: Payload
    at: int = 0
    """When its node accepted it, milliseconds since the epoch by that node's clock."""


class _Envelope(Struct, array_like=True):
    """A message whose payload may be of any kind."""

    seq: int
    payload: dict[str, Any]
    at: int = 0


_KINDS = {kind.__struct_config__.tag for kind in get_args(Payload)}
_message = msgpack.Decoder(Message).decode
_envelope = msgpack.Decoder(_Envelope).decode


def message_of(raw: Raw | bytes) -> Message:
    """Read a message as it travels; one of a kind that a newer version made is Unknown. Raises one of UNREADABLE."""
    try:
        return _message(raw)
    except ValidationError:
        seq, payload, at = structs.astuple(_envelope(raw))
        kind = payload.get("type")
        if not isinstance(kind, str) or kind in _KINDS:
            raise
        return Message(seq, Unknown(kind), at)


def stream_id(node_id: str, started_at: float, former: StreamId | None = None) -> StreamId:
    """The stream of a run that started at `started_at`, seconds since the epoch.

    It comes after the `former` one of this node also when the clock has gone back: a number is never used twice.
    """
    number, digits = int(started_at * 1000), ""
    if former is not None:
        number = max(number, int(former.rpartition("~")[2], 36) + 1)
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return f"{node_id}~{digits or '0'}"


def node_of(stream: StreamId) -> str:
    """The node that a stream belongs to."""
    return stream.rpartition("~")[0]


def event_id(stream: StreamId, seq: int) -> str:
    """The id of a message: `<stream id>:<sequence number>`."""
    return f"{stream}:{seq}"

"""What streams carry: messages, numbered 1, 2, 3 … by the node that accepted them."""

from __future__ import annotations

from msgspec import Struct

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

Payload = Event | Terminate | Notice


class Message(Struct, frozen=True, array_like=True):
    """One entry of a stream."""

    seq: int
    payload: Payload
    at: int = 0
    """When its node accepted it, milliseconds since the epoch by that node's clock."""


def stream_id(node_id: str, started_at: float) -> StreamId:
    """The stream of a run that started at `started_at`, seconds since the epoch."""
    number, digits = int(started_at * 1000), ""
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

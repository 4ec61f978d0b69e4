"""What nodes say to each other on the mesh port (MessagePack bodies, `docs/architecture.md`)."""

from __future__ import annotations

from msgspec import Raw, Struct

from wsnode.domain.messages import Join, StreamId, SubscriptionCount

PROTOCOL_VERSION = 1
SUPPORTED_VERSIONS = frozenset({PROTOCOL_VERSION})
"""Neighbouring versions talk to each other, so that a rolling upgrade loses nothing."""


class Snapshot(Struct, frozen=True):
    """What a node's own clients amount to, for a peer that has not followed its stream from the start."""

    connections: dict[str, int] = {}
    """App id -> connections."""
    counts: list[SubscriptionCount] = []
    present: list[Join] = []
    """Who is present in which presence channels at the node."""


class Hello(Struct, frozen=True):
    """A node announces a run of itself."""

    node: str
    stream: StreamId
    location: str
    address: str
    last: int
    """The newest sequence number of its stream."""
    position: dict[StreamId, int]
    snapshot: Snapshot
    floors: dict[StreamId, int] = {}


class HelloAnswer(Struct, frozen=True):
    """The other node's own announcement."""

    node: str
    stream: StreamId
    last: int
    position: dict[StreamId, int]
    snapshot: Snapshot
    floors: dict[StreamId, int] = {}


class Push(Struct, frozen=True):
    """Messages of the sender's stream that follow `after`, and once a heartbeat what its clients and position are."""

    stream: StreamId
    oldest: int
    """The oldest message that the sender still holds: what came before and has not arrived never will."""
    after: int
    messages: list[Raw]
    connections: dict[str, int]
    position: dict[StreamId, int]
    """What the sender has of all streams, its own among them, as answers say it; empty: nothing is said of this, nor of
    connections and floors."""
    floors: dict[StreamId, int] = {}
    """Of each stream the number up to which messages may never have come to the sender, where that is not 0."""


class PushAnswer(Struct, frozen=True):
    """The receiver's position: what it says of the sender's stream is the acknowledgement."""

    stream: StreamId
    position: dict[StreamId, int]
    floors: dict[StreamId, int] = {}


class Pull(Struct, frozen=True):
    """A request for messages of any stream that follow `after`."""

    stream: StreamId
    after: int


class Pulled(Struct, frozen=True):
    """Messages of a stream that follow `after`, of which the answerer holds `oldest` to `last`."""

    stream: StreamId
    oldest: int
    last: int
    after: int
    messages: list[Raw]


class Goodbye(Struct, frozen=True):
    """A run has ended: nothing more follows on this stream."""

    stream: StreamId

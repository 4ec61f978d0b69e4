"""What the mesh decides that others must act on."""

from __future__ import annotations

from dataclasses import dataclass

from wsnode.domain.messages import Message, StreamId
from wsnode.domain.peer import PeerState
from wsnode.domain.wire import Goodbye, Hello, Pull, Push, Snapshot


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand the messages of a stream to the hub, in this order."""

    stream: StreamId
    messages: list[Message]


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """A peer came up, became suspect or went down."""

    node: str
    state: PeerState
    reason: str


@dataclass(frozen=True, slots=True)
class PeerSnapshot:
    """A peer said what its clients amount to: this replaces what was known."""

    node: str
    stream: StreamId
    seq: int
    """The number of the stream's message after which the snapshot was taken."""
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class PeerConnections:
    """A peer said how many connections each app has there."""

    node: str
    connections: dict[str, int]


@dataclass(frozen=True, slots=True)
class PeerForgotten:
    """A run of a peer has ended: its clients are gone."""

    node: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages `first` to `last` of a stream will never arrive here."""

    stream: StreamId
    first: int
    last: int


Effect = Deliver | PeerChanged | PeerSnapshot | PeerConnections | PeerForgotten | Gap


@dataclass(frozen=True, slots=True)
class Request:
    """Something to send to a peer now; its outcome is told to the mesh with `answered` or `failed`."""

    node: str
    address: str
    body: Hello | Push | Pull | Goodbye
    number: int = 0
    """Tells the requests of one mesh apart."""

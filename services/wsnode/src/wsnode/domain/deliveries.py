"""What the hub decides that the edge must do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from wsnode.domain.close_codes import Close
from wsnode.domain.history import Entry
from wsnode.domain.messages import StreamId

if TYPE_CHECKING:
    from wsnode.domain.session import Session


class Delivery(NamedTuple):
    """A frame, and the sessions that get it except the one with the socket id `exclude`.

    `sessions` is the hub's own collection: write at once, before anything else touches the hub.
    """

    frame: bytes
    sessions: Collection[Session]
    exclude: str | None = None


class Effects(NamedTuple):
    """What the edge is to do: first write, then close."""

    deliveries: Sequence[Delivery] = ()
    closes: Sequence[tuple[Session, Close]] = ()


class Joined(NamedTuple):
    """The answer to a subscribe, and the events that the client has missed, in order, with its position after them."""

    frames: list[bytes]
    missed: Sequence[bytes] = ()


class Listening(NamedTuple):
    """The answer to a client that subscribes to several channels at once, all from one position."""

    answers: list[bytes]
    """One for each channel, whether it is recovered; after it, perhaps the last event of a cache channel."""
    missed: list[tuple[str, Entry]]
    """Channel and event, those of one stream in its order."""
    position: dict[StreamId, int]
    """What the client has seen after them."""
    ahead: dict[StreamId, int]
    """What of it is not here yet."""

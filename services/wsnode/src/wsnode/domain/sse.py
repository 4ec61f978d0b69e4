"""What clients of server-sent events get: the messages of the protocol as `text/event-stream`.

The id of an event is the client's position after it, so that a client that comes back with it goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from wsmesh.position import format_position
from wsnode.domain.frames import payload_of
from wsnode.domain.history import Entry
from wsnode.domain.messages import Event, Message, StreamId
from wsnode.domain.resuming import framed

CONTENT_TYPE = "text/event-stream"

HEARTBEAT = b":\n\n"
"""A comment, which clients drop."""

MAX_POSITION = 8_000
"""Characters of a position that a request can bring back in a header."""


class _Channel(Struct):
    channel: str


_channel_of = msgspec.json.Decoder(_Channel).decode


def retry(seconds: float) -> bytes:
    """How long a client shall wait before it comes back."""
    return b"retry: %d\n\n" % (seconds * 1000)


def message(frame: bytes, position: Mapping[StreamId, int] | None = None) -> bytes:
    """The message in a frame, and the position after it if that has changed. JSON has no line break outside strings,
    and escapes those inside."""
    data = b"data: " + payload_of(frame) + b"\n\n"
    return data if position is None else _id(position) + data


def told(position: Mapping[StreamId, int]) -> bytes:
    """The position alone: it replaces that of the client, and nothing else happens there."""
    return _id(position) + b"\n"


def replay(
    missed: Sequence[tuple[str, Entry]], start: Mapping[StreamId, int], end: Mapping[StreamId, int]
) -> Iterator[bytes]:
    """What a client has missed since `start`, made while it is written; after the last its position is `end`.

    In between it is the client's own, moved by what it got: the connection may be lost in their midst.
    """
    position = dict(start)
    for number, (channel, entry) in enumerate(missed, 1):
        frame = framed(entry, channel)
        if number == len(missed):
            yield message(frame, end)
        elif missed[number][1].stream == entry.stream and missed[number][1].seq == entry.seq:
            yield message(frame)  # it follows in another channel, and is seen only then
        else:
            position[entry.stream] = entry.seq
            yield message(frame, position)


class Texts:
    """The text of the frame that is being delivered, made once for all clients that get the same.

    `position` is how far each stream has come here.
    """

    def __init__(self, position: Callable[[], dict[StreamId, int]]) -> None:
        self._position = position
        self._at: tuple[StreamId, Message] | None = None
        self._frame = b""
        self._channel = ""
        self._bare = b""
        self._whole: bytes | None = None
        self._told: tuple[dict[StreamId, int], bytes] = ({}, told({}))

    def told(self) -> bytes:
        """The text that tells the present position, the same object for as long as it is the same."""
        position = self._position()
        if position != self._told[0]:
            self._told = position, told(position)
        return self._told[1]

    @contextmanager
    def after(self, stream: StreamId, of: Message) -> Iterator[None]:
        """What is delivered within the block comes from this message."""
        before, self._at = self._at, (stream, of)
        try:
            yield
        finally:
            self._at = before

    def text(self, frame: bytes, channels: Collection[str], ahead: Mapping[StreamId, int]) -> bytes:
        """The text for a client that is subscribed to `channels` and has seen `ahead` of what is here."""
        if self._at is None or not isinstance(self._at[1].payload, Event):
            return message(frame)
        (stream, of), event = self._at, self._at[1].payload
        several = len(event.channels) > 1
        if frame is not self._frame:
            self._frame, self._bare, self._whole = frame, message(frame), None
            self._channel = _channel_of(payload_of(frame)).channel if several else ""
        if several and self._channel != next(name for name in reversed(event.channels) if name in channels):
            return self._bare
        if ahead:
            return message(frame, further(self._now(stream, of.seq), ahead))
        if self._whole is None:
            self._whole = message(frame, self._now(stream, of.seq))
        return self._whole

    def _now(self, stream: StreamId, seq: int) -> dict[StreamId, int]:
        """The position after this message: later ones of its stream may have come with it, and are not written yet."""
        return self._position() | {stream: seq}


def further(position: Mapping[StreamId, int], ahead: Mapping[StreamId, int]) -> dict[StreamId, int]:
    """A position that is nowhere behind `ahead`."""
    return {**position, **{stream: seq for stream, seq in ahead.items() if seq > position.get(stream, 0)}}


def _id(position: Mapping[StreamId, int]) -> bytes:
    text = format_position(position)
    # Without an id the client comes back with none and is told that it is not recovered: better than a request that
    # nobody takes.
    return b"id: %s\n" % (text.encode() if len(text) <= MAX_POSITION else b"")

"""The position that a client sends to resume: up to where it has seen each stream."""

from __future__ import annotations

from collections.abc import Mapping

from wsmesh.position import MAX_SEQ, MAX_STREAMS, STREAM, WrongPosition
from wsnode.domain.messages import StreamId

__all__ = ["MAX_STREAMS", "WrongPosition", "ahead_of", "position_of"]


def position_of(value: object) -> dict[StreamId, int]:
    """Read a position. Raises WrongPosition."""
    if not isinstance(value, dict):
        raise WrongPosition('"position" must be an object: stream id to number')
    if len(value) > MAX_STREAMS:
        raise WrongPosition(f'"position" names {len(value)} streams, at most {MAX_STREAMS} are allowed')
    for stream, seq in value.items():
        if not STREAM.fullmatch(stream):
            raise WrongPosition(f'"position" names {stream[:100]!r}, which is no stream id')
        if type(seq) is not int or not 0 <= seq <= MAX_SEQ:
            raise WrongPosition(f'The number of {stream} in "position" must be a whole number from 0 to {MAX_SEQ}')
    return value


def ahead_of(position: Mapping[StreamId, int], known: Mapping[StreamId, int]) -> dict[StreamId, int]:
    """The part of a position that is not here yet."""
    return {stream: seq for stream, seq in position.items() if seq > known.get(stream, 0)}

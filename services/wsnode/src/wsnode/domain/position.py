"""The position that a client sends to resume: up to where it has seen each stream."""

from __future__ import annotations

import re
from collections.abc import Mapping

from wsnode.domain.messages import StreamId

MAX_STREAMS = 1_024
MAX_SEQ = 2**53 - 1
"""The largest whole number that JavaScript counts to exactly."""

_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}~[0-9a-z]{1,13}")


class WrongPosition(Exception):
    """A position that no node told anybody. The text says what is wrong with it."""


def position_of(value: object) -> dict[StreamId, int]:
    """Read a position. Raises WrongPosition."""
    if not isinstance(value, dict):
        raise WrongPosition('"position" must be an object: stream id to number')
    if len(value) > MAX_STREAMS:
        raise WrongPosition(f'"position" names {len(value)} streams, at most {MAX_STREAMS} are allowed')
    for stream, seq in value.items():
        if not _STREAM.fullmatch(stream):
            raise WrongPosition(f'"position" names {stream[:100]!r}, which is no stream id')
        if type(seq) is not int or not 0 <= seq <= MAX_SEQ:
            raise WrongPosition(f'The number of {stream} in "position" must be a whole number from 0 to {MAX_SEQ}')
    return value


def ahead_of(position: Mapping[StreamId, int], known: Mapping[StreamId, int]) -> dict[StreamId, int]:
    """The part of a position that is not here yet."""
    return {stream: seq for stream, seq in position.items() if seq > known.get(stream, 0)}

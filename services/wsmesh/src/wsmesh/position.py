"""The text form of a position: how a client stores one, hands it on, and sends it where there is only a header.

`n1~lx3k2f9a:42,n2~lx3k2g11:7`, streams in any order; `-` is the position that has seen nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MAX_STREAMS = 1_024
MAX_SEQ = 2**53 - 1
"""The largest whole number that JavaScript counts to exactly."""
MAX_LENGTH = 100_000
"""Characters of a text: as many as the longest names of MAX_STREAMS streams need, and some."""
EMPTY = "-"

STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}~[0-9a-z]{1,13}")
"""The form of a stream id."""
_SEQ = re.compile(r"0|[1-9][0-9]{0,15}")


class WrongPosition(Exception):
    """A position that no node told anybody. The text says what is wrong with it."""


def format_position(position: Mapping[str, int]) -> str:
    """The text of a position, the same for the same position."""
    return ",".join(f"{stream}:{position[stream]}" for stream in sorted(position)) or EMPTY


def parse_position(text: str, max_length: int = MAX_LENGTH) -> dict[str, int]:
    """Read the text of a position. Raises WrongPosition."""
    if len(text) > max_length:
        raise WrongPosition(f"the position has {len(text)} characters, at most {max_length} are allowed")
    if text == EMPTY:
        return {}
    parts = text.split(",")
    if len(parts) > MAX_STREAMS:
        raise WrongPosition(f"the position names {len(parts)} streams, at most {MAX_STREAMS} are allowed")
    position: dict[str, int] = {}
    for part in parts:
        stream, colon, seq = part.partition(":")
        if not colon:
            raise WrongPosition(f"the position has {part[:100]!r}, expected STREAM:NUMBER,STREAM:NUMBER… or {EMPTY}")
        if not STREAM.fullmatch(stream):
            raise WrongPosition(f"the position names {stream[:100]!r}, which is no stream id")
        if not _SEQ.fullmatch(seq) or int(seq) > MAX_SEQ:
            raise WrongPosition(f"the number of {stream} in the position must be a whole number from 0 to {MAX_SEQ}")
        if stream in position:
            raise WrongPosition(f"the position names {stream} twice")
        position[stream] = int(seq)
    return position

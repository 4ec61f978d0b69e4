"""Channel names and what their prefixes mean (Pusher Channels protocol 7)."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_LENGTH = 164
SERVER_TO_USER = "#server-to-user-"

_NAME = re.compile(r"[A-Za-z0-9_\-=@,.;]+")
_PREFIX = re.compile(r"((?:private|presence)-cache-|private-encrypted-(?:cache-)?|private-|presence-|cache-)")


class ChannelKind(NamedTuple):
    """What a channel's prefix asks for."""

    private: bool = False
    presence: bool = False
    encrypted: bool = False
    cache: bool = False

    @property
    def signed(self) -> bool:
        """Whether a subscriber must show a signature."""
        return self.private or self.presence


def problem_with(name: object) -> str | None:
    """Why this is no channel name a client or publisher may use, or None."""
    if not isinstance(name, str) or not name:
        return "a channel name is a string of 1 to 164 characters"
    if len(name) > MAX_LENGTH:
        return f"the channel name has {len(name)} characters, at most {MAX_LENGTH} are allowed"
    if not _NAME.fullmatch(name.removeprefix(SERVER_TO_USER) if name.startswith(SERVER_TO_USER) else name):
        return "a channel name may only have the characters A-Z a-z 0-9 _ - = @ , . ;"
    return None


def kind_of(name: str) -> ChannelKind:
    """The kind of a channel, by its prefix."""
    found = _PREFIX.match(name)
    if found is None:
        return ChannelKind()
    words = found.group(1).split("-")
    return ChannelKind("private" in words, "presence" in words, "encrypted" in words, "cache" in words)

"""What a client has seen of each channel, so that it goes on from there at any node; without I/O.

docs/client-protocol.md, "Resuming", says what is sent and told.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wsmesh.client.items import Position, Subscribed

KEY_SECONDS = 600.0
"""So long an idempotency key is remembered: nodes do for `STREAM_LOG_SECONDS`, which is shorter unless raised."""

MAX_KEYS = 10_000
"""Keys that are remembered; beyond, the oldest is forgotten."""


@dataclass(slots=True)
class _Channel:
    position: Position = field(default_factory=dict)
    """What a subscribe says: all that was published up to here is seen, or known to be lost."""
    seen: Position = field(default_factory=dict)
    """Numbers of events that came. Behind `position` where events were lost: a last event may be one of those."""
    known: bool = False
    """`position` was told by a server, now or when it was stored."""
    joined: bool = False
    """The channel was joined before, by this client or the one that stored its position: events may be missing."""
    here: bool = False
    """This connection's subscribe was answered."""


class Resume:
    """Positions by channel, moved by what the server says. Times are seconds of any clock that only goes forward."""

    def __init__(self) -> None:
        self.dropped = 0
        """Events that came a second time."""
        self._channels: dict[str, _Channel] = {}
        self._keys: OrderedDict[tuple[str, str], float] = OrderedDict()

    def join(self, channel: str, position: Mapping[str, int] | None = None) -> None:
        """Follow a channel, from a stored `position` or from now on."""
        given = dict(position or {})
        stored = position is not None
        self._channels[channel] = _Channel(given, dict(given), known=stored, joined=stored)

    def leave(self, channel: str) -> None:
        """Forget a channel."""
        self._channels.pop(channel, None)

    def position(self, channel: str) -> Position | None:
        """Where the client is in a channel; None: it does not follow it, or no server has told a position yet."""
        found = self._channels.get(channel)
        return dict(found.position) if found is not None and found.known else None

    def connected(self) -> None:
        """A new connection: nothing is subscribed to."""
        for channel in self._channels.values():
            channel.here = False

    def ask(self, channel: str) -> Position:
        """The position for a subscribe; an empty one asks for the present position."""
        return dict(self._channels[channel].position) if channel in self._channels else {}

    def answered(self, name: str, data: Mapping[str, Any]) -> Subscribed:
        """The server took the subscription; `data` is what its answer says."""
        channel = self._channels.setdefault(name, _Channel())
        position = _position(data.get("position"))
        again, channel.joined, channel.here = channel.joined, True, True
        # After a recovery the missed events are still to come, and each moves the position that the client has.
        recovered = again and position is not None and data.get("recovered") is True
        if position is not None and not recovered:
            channel.position, channel.known = position, True
        now_at = None if position is None else dict(channel.position)
        return Subscribed(name, recovered if again else None, now_at, _members(data.get("presence")))

    def refused(self, name: str) -> bool:
        """The server refused the position; whether there is another one to ask with, the empty one."""
        channel = self._channels.get(name)
        if channel is None or not channel.position:
            return False
        channel.position = {}
        return True

    def told(self, data: Mapping[str, Any], name: str | None) -> None:
        """The server told where the client is, in one channel or in all that it was subscribed to here."""
        position = _position(data.get("position"))
        if position is None:
            return
        for channel in self._channels.values() if name is None else filter(None, [self._channels.get(name)]):
            if channel.here and channel.known:
                channel.position, channel.seen = dict(position), dict(position)

    def take(self, name: str, event_id: str | None, key: str | None, now: float) -> bool:
        """Whether an event is new. Either way the client has seen it now."""
        stream, _, number = (event_id or "").rpartition(":")
        channel = self._channels.get(name)
        if channel is None or not stream or not number.isdecimal():
            return True
        seq = int(number)
        new = seq > channel.seen.get(stream, 0)
        if new:
            channel.seen[stream] = seq
            if channel.known:
                channel.position[stream] = max(seq, channel.position.get(stream, 0))
            new = key is None or self._first(name, key, now)
        self.dropped += not new
        return new

    def _first(self, name: str, key: str, now: float) -> bool:
        """Whether no event with this idempotency key came in the channel within the last minutes."""
        while self._keys and (next(iter(self._keys.values())) < now - KEY_SECONDS or len(self._keys) >= MAX_KEYS):
            self._keys.popitem(last=False)
        if (name, key) in self._keys:
            return False
        self._keys[name, key] = now
        return True


def _members(presence: object) -> dict[str, Any] | None:
    """The users of a presence channel that an answer names, with their info."""
    users = presence.get("hash") if isinstance(presence, dict) else None
    return users if isinstance(users, dict) else None


def _position(value: object) -> Position | None:
    """A position that a server told, or None when it is none."""
    if not isinstance(value, dict) or not all(type(seq) is int and seq >= 0 for seq in value.values()):
        return None
    return dict(value)

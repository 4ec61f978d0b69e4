"""What happens to a subscriber: the items that iterating over a client yields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Position = dict[str, int]
"""Stream id to the last number seen; `wsmesh.position` has its text form."""


class Event(NamedTuple):
    """A message of a channel; `data` is the text as published, `id` the event id, where the server gives one."""

    channel: str
    name: str
    data: str
    id: str | None = None
    user_id: str | None = None


class Connected(NamedTuple):
    """The server took the connection."""

    socket_id: str


class Subscribed(NamedTuple):
    """The server took the subscription to `channel`.

    `recovered` says what became of the events published since the position that this client had: True, nothing is
    missing, and what was missed follows; False, something may be missing, and the application should load anew what it
    shows; None, there was no position, since the channel was joined for the first time. `position` is where the client
    is now; None: the server does not know positions. `members` are the users of a presence channel with their info,
    this client's included; whoever comes and goes then is an event of the protocol's own name
    (`pusher_internal:member_added`, `pusher_internal:member_removed`).
    """

    channel: str
    recovered: bool | None = None
    position: Position | None = None
    members: Mapping[str, Any] | None = None


class Refused(NamedTuple):
    """The server, or `authorize`, refused the subscription to `channel`; the connection goes on."""

    channel: str
    message: str


class Problem(NamedTuple):
    """The server, or this client, found something wrong with a message; the connection goes on."""

    code: int | None
    message: str


class Lost(NamedTuple):
    """The connection ended with a close `code` (None: it never began); the next attempt comes after `wait` seconds."""

    code: int | None
    reason: str
    wait: float


Item = Event | Connected | Subscribed | Refused | Problem | Lost

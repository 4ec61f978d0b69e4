"""What happens to channels, for those who watch them."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal[
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "subscription_count",
    "cache_miss",
]
"""occupied, vacated: the whole cluster's first subscriber came, its last left; member: the same for a user of a
presence channel; subscription_count: the number that subscribers are told now; cache_miss: a client subscribed to a
cache channel without a last event."""


class Transition(NamedTuple):
    """Something happened to a channel, as this node sees the cluster.

    Every node sees all of them by itself, each at its own time; only a `cache_miss` is seen where the client is alone.
    A node that is killed and comes back makes its channels vacated and occupied, unless others hold them.
    """

    kind: Kind
    app: str
    channel: str
    user: str | None = None
    number: int | None = None

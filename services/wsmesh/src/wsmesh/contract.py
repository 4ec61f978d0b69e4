"""What the registry says to nodes and balancers, and they to it: one place for the shapes on the wire.

Every shape is JSON over HTTP (`docs/registry-api.md`). Unknown fields are ignored, so that a newer side may add some.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

# Patterns end in `$(?!\n)`, since Python's `$` also matches before a newline at the end; JSON Schema has no `\Z`.

NodeState = Literal["ready", "draining", "lost", "left"]
"""ready: takes clients; draining: keeps none for long; lost: its lease ran out; left: it said goodbye."""

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$(?!\n)")]
"""The form of node ids, locations and app ids."""

Address = Annotated[str, Meta(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$(?!\n)", max_length=255)]
"""`host:port`; an IPv6 host stands in brackets."""

RunId = Annotated[str, Meta(min_length=3, max_length=80)]
"""The stream id of one run of a node: `<node id>~<start time, milliseconds, base 36>`."""


WEBHOOK_EVENTS = (
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "cache_miss",
    "subscription_count",
)
"""What a webhook can be told."""

Pattern = Annotated[str, Meta(min_length=1, max_length=164, pattern=r"^[A-Za-z0-9_\-=@,.;*]+$(?!\n)")]
"""Names channels; `*` stands for any run of characters."""


class ChannelRule(Struct, frozen=True, kw_only=True):
    """The settings of all channels of an app whose name matches `pattern`; `*` stands for any run of characters.

    When several rules match, the one with the most characters other than `*` wins, then the first by pattern.
    """

    pattern: Pattern
    history_messages: Annotated[int, Meta(ge=0, le=10_000)] = 100
    history_seconds: Annotated[int, Meta(ge=0, le=86_400)] = 300
    history_bytes: Annotated[int, Meta(ge=0, le=17_179_869_184)] = 0
    """Memory that the history of one channel may take on each node; 0: only the node's own bound, `HISTORY_BYTES`."""
    cache: bool = False
    """Keep the last event and give it to new subscribers, as `cache-` channels do by their name."""
    subscription_count: bool = False
    """Send `pusher_internal:subscription_count` to the subscribers when their number changes."""
    presence_max_members: Annotated[int, Meta(ge=1, le=10_000)] = 100
    presence_max_user_bytes: Annotated[int, Meta(ge=1, le=65_536)] = 1_024
    max_data_bytes: Annotated[int, Meta(ge=0, le=1_048_576)] = 0
    """Largest `data` of one event in bytes; 0: the limit of the app."""


class Webhook(Struct, frozen=True, kw_only=True):
    """A URL that is told what happens on an app's channels (`docs/webhooks.md`).

    The registry checks what it takes; a node reads any text, so that a newer registry may know more events.
    """

    name: Name
    url: str
    events: tuple[str, ...] = WEBHOOK_EVENTS
    channels: str = "*"
    """Only channels whose name matches, as in a channel rule: `*` stands for any run of characters."""


class AppLimits(Struct, frozen=True, kw_only=True):
    """Bounds of one app over the whole cluster; 0 means no bound."""

    max_connections: Annotated[int, Meta(ge=0)] = 0
    max_data_bytes: Annotated[int, Meta(ge=1, le=1_048_576)] = 10_240
    max_channels_per_connection: Annotated[int, Meta(ge=0)] = 100
    publishes_per_second: Annotated[int, Meta(ge=0)] = 0
    """Publish requests that each node takes in a second."""


class App(Struct, frozen=True, kw_only=True):
    """A tenant, as the nodes know it."""

    id: Name
    key: Name
    secret: str
    name: str = ""
    enabled: bool = True
    allowed_origins: list[str] = []
    """Origins (`https://example.com`, `https://*.example.com`) that browsers may come from; empty: any."""
    publish_keys: list[str] = []
    """SHA-256 (hex) of each publish key that is valid now."""
    limits: AppLimits = AppLimits()
    rules: list[ChannelRule] = []
    webhooks: list[Webhook] = []


class Node(Struct, frozen=True, kw_only=True):
    """A member of the cluster, as the registry knows it."""

    id: Name
    run: RunId
    slot: int
    location: Name
    client_address: Address
    mesh_address: Annotated[str, Meta(pattern=r"^https?://[^/\s]+$(?!\n)", max_length=255)]
    version: str = ""
    weight: Annotated[int, Meta(ge=0, le=256)] = 100
    state: NodeState = "ready"


class ClusterConfig(Struct, frozen=True, kw_only=True):
    """Answer of `GET /api/v1/config`: all that a node needs. `nodes` holds those that are ready or draining."""

    generation: int
    nodes: list[Node] = []
    apps: list[App] = []


class Registration(Struct, frozen=True, kw_only=True):
    """Body of `POST /api/v1/nodes`: a node takes or renews its lease.

    `previous_run` proves that this is a restart of the node that holds the lease: it is the `run` that the node kept
    on its disk. Without it a live lease of another run is a conflict (409 `node_id_in_use`).
    """

    id: Name
    run: RunId
    location: Name
    client_address: Address
    mesh_address: Annotated[str, Meta(pattern=r"^https?://[^/\s]+$(?!\n)", max_length=255)]
    previous_run: str | None = None
    version: str = ""
    weight: Annotated[int, Meta(ge=0, le=256)] = 100


class Figures(Struct, frozen=True, kw_only=True):
    """What a node tells of itself with each heartbeat."""

    connections: int = 0
    subscriptions: int = 0
    messages_in: int = 0
    messages_out: int = 0
    peers_up: int = 0
    peers_known: int = 0
    unsent_bytes: int = 0


class Heartbeat(Struct, frozen=True, kw_only=True):
    """Body of `POST /api/v1/nodes/{id}/heartbeat`."""

    run: RunId
    state: Literal["ready", "draining"] = "ready"
    figures: Figures = Figures()


class Lease(Struct, frozen=True, kw_only=True):
    """Answer to a registration and to a heartbeat."""

    slot: int
    lease_seconds: float
    """Seconds from now in which the next heartbeat must come; send three in that time."""
    generation: int


class Slot(Struct, frozen=True, kw_only=True):
    """A slot that holds a node."""

    slot: int
    node: Name
    location: Name
    host: str
    port: int
    weight: int
    state: Literal["ready", "draining"]


class Slots(Struct, frozen=True, kw_only=True):
    """Answer of `GET /api/v1/slots`: what haproxy-sync applies."""

    generation: int
    slots: list[Slot] = []


class ErrorBody(Struct, frozen=True, kw_only=True):
    """What was wrong and what to do, for every HTTP interface of wsmesh."""

    code: str
    message: str
    field: str | None = None


class ErrorAnswer(Struct, frozen=True, kw_only=True):
    """The body of every answer that is not a success: `{"error": {"code": …, "message": …, "field": …}}`."""

    error: ErrorBody


def error_answer(code: str, message: str, field: str | None = None) -> bytes:
    """The JSON body of an error. A message may repeat what came in: bytes that are no text are shown escaped."""
    message = message.encode(errors="backslashreplace").decode()
    return msgspec.json.encode(ErrorAnswer(error=ErrorBody(code=code, message=message, field=field)))

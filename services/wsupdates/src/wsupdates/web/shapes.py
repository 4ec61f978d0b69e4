"""Bodies and answers that only the HTTP interface knows."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from wsmesh.contract import ChannelRule, Figures, Name, Node, Webhook
from wsupdates.domain.apps import AppView
from wsupdates.domain.audit import Entry
from wsupdates.domain.keys import ApiKey, Role
from wsupdates.domain.members import Member


class NodeView(Node, frozen=True, kw_only=True):
    """A node with what its administrator wants to know. Times are Unix seconds."""

    drained: bool
    """Whether an administrator asked for its drain."""
    registered_at: float
    last_heartbeat: float
    gone_at: float | None = None
    lease_seconds_left: float
    figures: Figures

    @classmethod
    def of(cls, member: Member, left: float) -> NodeView:
        """The view of a member."""
        node = member.node()
        return cls(
            **{name: getattr(node, name) for name in Node.__struct_fields__},
            drained=member.drained,
            registered_at=member.registered_at,
            last_heartbeat=member.seen_at,
            gone_at=member.gone_at,
            lease_seconds_left=round(left, 3),
            figures=member.figures,
        )


class TargetGroup(Struct, frozen=True, kw_only=True):
    """What Prometheus reads: one node, by its client address, with labels for all its series."""

    targets: list[str]
    labels: dict[str, str]

    @classmethod
    def of(cls, member: Member) -> TargetGroup:
        """The node as a target."""
        return cls(targets=[member.client_address], labels={"node": member.id, "location": member.location})


class NodeList(Struct, frozen=True, kw_only=True):
    """All nodes by slot, gone ones too."""

    nodes: list[NodeView]


class AppPage(Struct, frozen=True, kw_only=True):
    """Apps by id; `next` is the `after` of the next page, null on the last."""

    apps: list[AppView]
    next: str | None = None


class RulePage(Struct, frozen=True, kw_only=True):
    """Channel rules by pattern; `next` is the `after` of the next page, null on the last."""

    rules: list[ChannelRule]
    next: str | None = None


class WebhookPage(Struct, frozen=True, kw_only=True):
    """Webhooks by name; `next` is the `after` of the next page, null on the last."""

    webhooks: list[Webhook]
    next: str | None = None


class SecretAnswer(Struct, frozen=True, kw_only=True):
    """A new secret, shown this once."""

    secret: str


class PublishKeyAnswer(Struct, frozen=True, kw_only=True):
    """A new publish key, shown this once; `id` is what it is named by later."""

    id: str
    publish_key: str


class NewKey(Struct, frozen=True, kw_only=True):
    """Body of `POST /api/v1/keys`."""

    name: Name
    role: Role
    expires_days: Annotated[float, Meta(gt=0, le=36_500)] | None = None


class CreatedKey(ApiKey, frozen=True, kw_only=True):
    """A new API key; `key` is shown this once."""

    key: str


class KeyPage(Struct, frozen=True, kw_only=True):
    """API keys by id, without the keys themselves."""

    keys: list[ApiKey]
    next: str | None = None


class AuditPage(Struct, frozen=True, kw_only=True):
    """Changes, newest first; `next` is the `after` of the next page, null on the last."""

    entries: list[Entry]
    next: str | None = None


class Goodbye(Struct, frozen=True, kw_only=True):
    """Body of a node's `DELETE /api/v1/nodes/{id}`, when the query does not say it."""

    run: str | None = None


class Health(Struct, frozen=True, kw_only=True):
    """The registry lives, or is ready."""

    status: str

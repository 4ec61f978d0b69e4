"""The webhooks of an app: what may be said of them."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from wsmesh.contract import WEBHOOK_EVENTS, Name, Pattern, Webhook
from wsupdates.domain.refusals import Refusal

EventName = Literal[
    "channel_occupied", "channel_vacated", "member_added", "member_removed", "cache_miss", "subscription_count"
]


class WebhookSettings(Struct, frozen=True, kw_only=True):
    """A URL that is told what happens on the app's channels."""

    name: Name
    url: Annotated[str, Meta(max_length=2_048, pattern=r"^https?://[!-~]+$(?!\n)")]
    """Where to POST: https; plain http only on loopback, or when ALLOW_PLAINTEXT names `webhooks`."""
    events: Annotated[tuple[EventName, ...], Meta(min_length=1, max_length=6)] = get_args(EventName)
    channels: Pattern = "*"
    """Only channels whose name matches; `*` stands for any run of characters."""


def checked(wanted: WebhookSettings, *, plain: bool) -> Webhook:
    """The webhook, each event once. Raises Refusal for a URL that may not be used; `plain`: http may."""
    problem = _problem_with(wanted.url, plain)
    if problem:
        raise Refusal(422, "schema", problem, "url")
    events = tuple(name for name in WEBHOOK_EVENTS if name in wanted.events)
    return Webhook(name=wanted.name, url=wanted.url, events=events, channels=wanted.channels)


def _problem_with(url: str, plain: bool) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "this is no URL; expected https://host/path"
    if not host:
        return "the URL names no host; expected https://host/path"
    if "@" in parts.netloc or parts.fragment:
        return "the URL may hold neither a user and password nor a #fragment; requests are signed with the app's secret"
    if parts.scheme == "http" and not plain and not _is_loopback(host):
        return (
            "plain http goes to this machine only; use https, or let the registry's ALLOW_PLAINTEXT name `webhooks` "
            "where the network may be trusted"
        )
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""Apps: what may be said of them, what may be shown, and how they change."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from wsmesh.contract import App, AppLimits, Name
from wsupdates.domain.refusals import Refusal

MAX_PUBLISH_KEYS = 100
PREFIX = 12
"""Characters of a publish key's SHA-256 by which it is named."""

MASK = "********"

Origin = Annotated[str, Meta(max_length=255, pattern=r"^https?://(\*\.)?[^/\s*]+$")]
Secret = Annotated[str, Meta(min_length=16, max_length=128, pattern=r"^[!-~]+$")]


class AppSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be changed of an app."""

    name: Annotated[str, Meta(max_length=200)] = ""
    enabled: bool = True
    allowed_origins: Annotated[list[Origin], Meta(max_length=1_000)] = []
    """Origins (`https://example.com`, `https://*.example.com`) that browsers may come from; empty: any."""
    limits: AppLimits = AppLimits()


class NewApp(AppSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/apps`; what is left out of id, key and secret is generated."""

    id: Name | None = None
    key: Name | None = None
    secret: Secret | None = None


class AppView(AppSettings, frozen=True, kw_only=True):
    """An app without its secret. `publish_keys` are the first 12 characters of their SHA-256."""

    id: str
    key: str
    publish_keys: list[str] = []
    rules: int = 0
    """How many channel rules it has."""
    webhooks: int = 0
    """How many webhooks it has."""


class CreatedApp(AppView, frozen=True, kw_only=True):
    """Answer to a create: the only one that shows the secret and the publish key."""

    secret: str
    publish_key: str


def view(app: App) -> AppView:
    """What an administrator sees."""
    return AppView(**_seen(app))


def created(app: App, publish_key: str) -> CreatedApp:
    """What the creator sees, once."""
    return CreatedApp(**_seen(app), secret=app.secret, publish_key=publish_key)


def changed(app: App, change: dict[str, Any]) -> App:
    """The app after a change that names some of its settings. Raises msgspec.ValidationError."""
    before = msgspec.to_builtins(settings(app))
    merged = before | change
    if isinstance(change.get("limits"), dict):
        merged["limits"] = before["limits"] | change["limits"]
    return msgspec.structs.replace(app, **fields(msgspec.convert(merged, AppSettings)))


def settings(app: App) -> AppSettings:
    """The part of the app that can be changed."""
    return AppSettings(name=app.name, enabled=app.enabled, allowed_origins=app.allowed_origins, limits=app.limits)


def fields(new: AppSettings) -> dict[str, Any]:
    """The settings as keyword arguments."""
    return {name: getattr(new, name) for name in AppSettings.__struct_fields__}


def with_publish_key(app: App, digest: str) -> App:
    """The app with one more publish key."""
    if len(app.publish_keys) >= MAX_PUBLISH_KEYS:
        raise Refusal(
            409, "too_many_publish_keys", f"app {app.id} has {MAX_PUBLISH_KEYS} publish keys; delete one first"
        )
    return msgspec.structs.replace(app, publish_keys=[*app.publish_keys, digest])


def without_publish_key(app: App, prefix: str) -> App:
    """The app without the publish key whose SHA-256 begins with `prefix`. Raises Refusal."""
    if not re.fullmatch(r"[0-9a-f]{8,64}", prefix):
        raise Refusal(422, "schema", "name a publish key by 8 to 64 hexadecimal digits of its SHA-256", "prefix")
    found = [digest for digest in app.publish_keys if digest.startswith(prefix)]
    if len(found) != 1:
        raise Refusal(404, "unknown_publish_key", f"app {app.id} has no single publish key {prefix}", "prefix")
    return msgspec.structs.replace(app, publish_keys=[digest for digest in app.publish_keys if digest != found[0]])


def unknown(app_id: str) -> Refusal:
    """No such app."""
    return Refusal(404, "unknown_app", f"there is no app {app_id}", "id")


def _seen(app: App) -> dict[str, Any]:
    prefixes = [digest[:PREFIX] for digest in app.publish_keys]
    return {
        "id": app.id,
        "key": app.key,
        "publish_keys": prefixes,
        "rules": len(app.rules),
        "webhooks": len(app.webhooks),
        **fields(settings(app)),
    }

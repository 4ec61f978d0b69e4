"""Records of administrative changes."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from wsmesh.contract import App
from wsupdates.domain.apps import MASK, PREFIX


class Entry(Struct, frozen=True, kw_only=True):
    """Who changed what, when (Unix seconds), from what to what; secrets are masked."""

    id: int = 0
    at: float
    key: str
    """Name of the API key; `command line` for `wsupdates keys`."""
    action: str
    object: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


def masked(app: App) -> dict[str, Any]:
    """An app as the record shows it; its rules and webhooks have records of their own."""
    shown: dict[str, Any] = msgspec.to_builtins(app)
    shown["rules"] = [one.pattern for one in app.rules]
    shown["webhooks"] = [one.name for one in app.webhooks]
    shown["secret"] = MASK
    shown["publish_keys"] = [digest[:PREFIX] for digest in app.publish_keys]
    return shown

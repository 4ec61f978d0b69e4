"""Whether a client that asks for a connection gets one."""

from __future__ import annotations

import re

from wsmesh.contract import App
from wsnode.domain import close_codes
from wsnode.domain.close_codes import Close
from wsnode.domain.hub import Hub

PROTOCOLS = (5, 6, 7)
"""What clients may ask for. Those that say 5 (Java, .NET) or 6 understand everything that this node sends."""


def admit(hub: Hub, key: str, protocol: str | None, origin: str | None) -> App | Close:
    """The app of a client that comes with this key, `protocol` parameter and `Origin` header, or why it may not."""
    return _problem_with_protocol(protocol) or admit_to_app(hub, key, origin)


def admit_to_app(hub: Hub, key: str, origin: str | None) -> App | Close:
    """The app with this key, or why a client with this `Origin` header may not use it."""
    app = hub.directory.by_key(key)
    if app is None:
        return close_codes.UNKNOWN_APP
    if not app.enabled:
        return close_codes.APP_DISABLED
    if not origin_allowed(app.allowed_origins, origin):
        return close_codes.ORIGIN_NOT_ALLOWED
    if hub.is_full(app):
        return close_codes.APP_FULL
    return app


def origin_allowed(allowed: list[str], origin: str | None) -> bool:
    """Whether a browser's `Origin` is one of `allowed`, where `*` stands for a part of the host or for the port.

    Who sends none is no browser: the list guards against other people's pages, and programs can send what they like.
    """
    if not allowed or origin is None:
        return True
    return any(
        pattern == "*" or re.fullmatch("[^/:]+".join(map(re.escape, pattern.split("*"))), origin, re.IGNORECASE)
        for pattern in allowed
    )


def _problem_with_protocol(protocol: str | None) -> Close | None:
    if not protocol:
        return close_codes.NO_PROTOCOL
    if not (protocol.isascii() and protocol.isdigit() and len(protocol) < 10):
        return close_codes.INVALID_VERSION
    return None if int(protocol) in PROTOCOLS else close_codes.UNSUPPORTED_PROTOCOL

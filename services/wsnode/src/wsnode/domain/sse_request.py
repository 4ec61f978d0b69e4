"""What a client of server-sent events asks for, and why it may not have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from wsmesh.channels import SERVER_TO_USER, kind_of, problem_with
from wsmesh.contract import App
from wsmesh.position import WrongPosition, parse_position
from wsmesh.signature import SignatureError, SignatureExpired, verify_query
from wsnode.domain import close_codes
from wsnode.domain.close_codes import Close
from wsnode.domain.messages import StreamId
from wsnode.domain.refused import Refused
from wsnode.domain.sse import MAX_POSITION

LAST_EVENT_ID = "last_event_id"
"""The query parameter for who cannot set the header; no signature covers it."""

_REFUSALS = {
    close_codes.UNKNOWN_APP: (404, "unknown_app"),
    close_codes.APP_DISABLED: (403, "app_disabled"),
    close_codes.APP_FULL: (403, "app_full"),
    close_codes.ORIGIN_NOT_ALLOWED: (403, "origin_not_allowed"),
}


class Asked(NamedTuple):
    """The channels, and from where on; an empty position asks for the present one."""

    channels: list[str]
    position: dict[StreamId, int]


def refused(close: Close) -> Refused:
    """Why a client may not use an app, as the answer to a request."""
    status, code = _REFUSALS[close]
    return Refused(status, code, close.reason)


def asked(app: App, path: str, query: Mapping[str, str], last_event_id: str | None, now: float, max_age: int) -> Asked:
    """Read a request of a client that may use the app. Raises Refused.

    `path` is as sent, `query` unescaped, `last_event_id` the header, `now` in seconds since the epoch; `max_age` is how
    many seconds a signature holds.
    """
    channels = _channels(app, query.get("channels", ""))
    signed = "auth_signature" in query or "auth_key" in query
    if signed:
        _verify(app, path, query, now, max_age)
    for name in channels:
        if kind_of(name).signed and not signed:
            text = f"{name} is private: it needs a URL that the application has signed, see auth_signature"
            raise Refused(401, "unauthorised", text, "auth_signature")
    return Asked(channels, _position(last_event_id or query.get(LAST_EVENT_ID, "")))


def _channels(app: App, text: str) -> list[str]:
    if not text:
        raise Refused(400, "missing_channels", "name the channels, separated by commas", "channels")
    names = text.split(",")
    limit = app.limits.max_channels_per_connection
    if limit and len(names) > limit:
        text = f"a connection may subscribe to at most {limit} channels, this one asks for {len(names)}"
        raise Refused(403, "too_many_channels", text, "channels")
    for number, name in enumerate(names):
        if (problem := problem_with(name)) is not None:
            raise Refused(400, "invalid_channel", f"{name[:100]!r}: {problem}", "channels")
        if name in names[:number]:
            raise Refused(400, "invalid_channel", f"{name} is named twice", "channels")
        if kind_of(name).presence:
            text = f"{name} is a presence channel: these need a WebSocket, since a member must be able to say who it is"
            raise Refused(400, "presence_channel", text, "channels")
        if name.startswith(SERVER_TO_USER):
            text = f"{name} is a user's own channel: these need a WebSocket that has signed in"
            raise Refused(400, "user_channel", text, "channels")
    return names


def _verify(app: App, path: str, query: Mapping[str, str], now: float, max_age: int) -> None:
    signed = {name: value for name, value in query.items() if name != LAST_EVENT_ID}
    try:
        verify_query(app.key, app.secret, "GET", path, signed, now, max_age)
    except SignatureExpired as problem:
        raise Refused(401, "signature_expired", f"{problem}; ask the application for a new URL") from None
    except SignatureError as problem:
        raise Refused(401, "bad_signature", str(problem)) from None


def _position(text: str) -> dict[StreamId, int]:
    try:
        return parse_position(text, MAX_POSITION) if text else {}
    except WrongPosition as problem:
        raise Refused(400, "invalid_position", str(problem), LAST_EVENT_ID) from None

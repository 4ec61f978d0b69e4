"""What a subscribe to a private or presence channel shows, and who makes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from wsmesh.channels import kind_of
from wsmesh.signature import channel_auth


class Authorization(NamedTuple):
    """`auth` is the signature, `channel_data` who joins a presence channel: JSON text, which the signature covers."""

    auth: str
    channel_data: str | None = None


class NotAuthorized(Exception):
    """Raised by an `authorize` when this client may not join the channel; the text says why."""


Authorize = Callable[[str, str], Authorization]
"""`(socket id, channel)` to the proof that this client may join. Raises NotAuthorized."""

AsyncAuthorize = Callable[[str, str], Authorization | Awaitable[Authorization]]
"""The same, where the proof may be awaited: it usually comes from the application's back end."""


def signer(key: str, secret: str, user_id: str = "wsmesh") -> Authorize:
    """Sign with the app's secret; `user_id` is who this client is in presence channels."""

    def authorize(socket_id: str, channel: str) -> Authorization:
        data = msgspec.json.encode({"user_id": user_id}).decode() if kind_of(channel).presence else None
        return Authorization(channel_auth(key, secret, socket_id, channel, data), data)

    return authorize

"""Signatures of the Pusher protocol: channel and user authentication, and requests to the HTTP API.

All are HMAC-SHA256 in hexadecimal with the app's secret. Comparisons take the same time wherever a difference lies.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

TIMESTAMP_WINDOW = 600
"""Seconds by which a request's `auth_timestamp` may differ from the server's clock."""


class SignatureError(Exception):
    """A request to the HTTP API is not signed as it must be. The text says which part is wrong, never how far."""


class SignatureExpired(SignatureError):
    """The signature is right, but not of now."""


def sign(secret: str, text: str) -> str:
    """HMAC-SHA256 of `text`, hexadecimal."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def same(a: str, b: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(a.encode(errors="surrogatepass"), b.encode(errors="surrogatepass"))


def channel_auth(key: str, secret: str, socket_id: str, channel: str, channel_data: str | None = None) -> str:
    """The `auth` of a subscribe to a private or presence channel."""
    text = f"{socket_id}:{channel}" if channel_data is None else f"{socket_id}:{channel}:{channel_data}"
    return f"{key}:{sign(secret, text)}"


def user_auth(key: str, secret: str, socket_id: str, user_data: str) -> str:
    """The `auth` of a `pusher:signin`."""
    return f"{key}:{sign(secret, f'{socket_id}::user::{user_data}')}"


def request_signature(secret: str, method: str, path: str, query: Mapping[str, str]) -> str:
    """The `auth_signature` of a request; `query` holds all other parameters, not URL-escaped."""
    text = "&".join(f"{key.lower()}={query[key]}" for key in sorted(query, key=str.lower))
    return sign(secret, f"{method.upper()}\n{path}\n{text}")


def verify_request(
    key: str, secret: str, method: str, path: str, query: Mapping[str, str], body: bytes, now: float
) -> None:
    """Check a signed request; `now` in seconds since the epoch. Raises SignatureError."""
    verify_query(key, secret, method, path, query, now)
    if body and "body_md5" not in query:
        raise SignatureError("the query parameter body_md5 is missing; a request with a body must carry it")
    if "body_md5" in query and not same(query["body_md5"], hashlib.md5(body, usedforsecurity=False).hexdigest()):
        raise SignatureError("body_md5 does not match the body")


def verify_query(
    key: str,
    secret: str,
    method: str,
    path: str,
    query: Mapping[str, str],
    now: float,
    max_age: int = TIMESTAMP_WINDOW,
) -> None:
    """Check the signature of a request without its body, which may be `max_age` seconds old. Raises SignatureError."""
    for name in ("auth_key", "auth_timestamp", "auth_version", "auth_signature"):
        if name not in query:
            raise SignatureError(f"the query parameter {name} is missing")
    if query["auth_version"] != "1.0":
        raise SignatureError("auth_version must be 1.0")
    if not same(query["auth_key"], key):
        raise SignatureError("auth_key is not the key of this app")
    rest = {name: value for name, value in query.items() if name != "auth_signature"}
    if not same(query["auth_signature"], request_signature(secret, method, path, rest)):
        raise SignatureError("auth_signature does not match this request")
    try:
        age = now - int(query["auth_timestamp"])
    except (ValueError, OverflowError):
        raise SignatureError("auth_timestamp must be whole seconds since the epoch") from None
    window = max_age if age > 0 else TIMESTAMP_WINDOW
    if abs(age) > window:
        raise SignatureExpired(f"auth_timestamp is more than {window} seconds away from the server's clock")

"""API keys: their roles, form, strength and validity. Only the hash of a key is ever stored."""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

from msgspec import Struct

Role = Literal["admin", "node", "balancer"]
ROLES: tuple[Role, ...] = get_args(Role)

MIN_LENGTH = 24
MIN_DIFFERENT = 10


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key as it is stored and shown: without the key itself. Times are Unix seconds."""

    id: str
    name: str
    role: Role
    created_at: float
    expires_at: float | None = None
    from_setting: bool = False
    """Whether this is the key of the setting API_KEY."""

    def expired(self, now: float) -> bool:
        """Whether the key is no longer valid."""
        return self.expires_at is not None and self.expires_at <= now


def form(role: Role, random: str) -> str:
    """The text of a new key; `random` holds 256 random bits."""
    return f"wsm_{role}_{random}"


def digest(secret: str) -> str:
    """SHA-256, hexadecimal: enough for secrets of 256 random bits."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def weakness(secret: str) -> str | None:
    """Why a key chosen by a person is refused, or None. The text never repeats the key."""
    if len(secret) < MIN_LENGTH or len(set(secret)) < MIN_DIFFERENT:
        return f"at least {MIN_LENGTH} characters, {MIN_DIFFERENT} of them different"
    return None

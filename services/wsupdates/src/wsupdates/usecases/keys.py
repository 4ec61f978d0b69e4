"""API keys: make, check, list, end."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from wsupdates.domain import keys as domain
from wsupdates.domain.keys import ApiKey, Role
from wsupdates.domain.refusals import Refusal
from wsupdates.usecases.administration import Administration
from wsupdates.usecases.store import Store

SETTING = "api-key"
"""Id and name of the key of the setting API_KEY."""
DAY = 86_400


class Keys:
    """The keys of nodes, balancers and administrators. `token(n)` gives n random bytes as URL-safe text."""

    def __init__(
        self, store: Store, administration: Administration, clock: Callable[[], float], token: Callable[[int], str]
    ) -> None:
        self._store = store
        self._administration = administration
        self._clock = clock
        self._token = token

    async def check(self, secret: str | None, roles: tuple[Role, ...]) -> ApiKey:
        """The key a caller showed, if it may do this. Raises Refusal."""
        if not secret:
            raise Refusal(401, "key_missing", "send an API key: `Authorization: Bearer <key>`")
        # Looked up by its hash, so the time taken says nothing about how close a wrong key was.
        key = await self._store.key(domain.digest(secret))
        if key is None:
            raise Refusal(401, "key_invalid", "this API key is not known; make one with `wsupdates keys create`")
        if key.expired(self._clock()):
            raise Refusal(401, "key_expired", "this API key has expired; make one with `wsupdates keys create`")
        if key.role not in roles:
            raise Refusal(403, "role", f"this needs a key of role {' or '.join(roles)}; this one is of role {key.role}")
        return key

    async def create(self, by: str, name: str, role: Role, days: float | None) -> tuple[ApiKey, str]:
        """A new key and its text, which is not kept."""
        now = self._clock()
        secret = domain.form(role, self._token(32))
        expires = None if days is None else now + days * DAY
        key = ApiKey(id=domain.digest(secret)[:12], name=name, role=role, created_at=now, expires_at=expires)
        async with self._store.changing():
            await self._store.add_key(key, domain.digest(secret))
            await self._administration.record(by, "key.create", f"key:{key.id}", None, msgspec.to_builtins(key))
        return key, secret

    async def page(self, after: str, limit: int) -> tuple[list[ApiKey], str | None]:
        """Keys by id, and the id to go on after when there are more."""
        found = await self._store.keys(after, limit + 1)
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    async def revoke(self, by: str, key_id: str) -> None:
        """End a key now."""
        async with self._store.changing():
            found = [key for key in await self._store.keys() if key.id == key_id]
            if not found:
                raise Refusal(404, "unknown_key", f"there is no key {key_id}", "id")
            if found[0].from_setting:
                raise Refusal(409, "key_from_setting", "this key is the setting API_KEY; unset it and restart", "id")
            await self._store.remove_key(key_id)
            await self._administration.record(by, "key.revoke", f"key:{key_id}", msgspec.to_builtins(found[0]), None)

    async def apply_setting(self, secret: str | None) -> None:
        """Make the setting API_KEY an admin key, and end what it was before."""
        async with self._store.changing():
            known = [key for key in await self._store.keys() if key.from_setting]
            same = await self._store.key(domain.digest(secret)) if secret else None
            for key in known:
                if same is None or key.id != same.id:
                    await self._store.remove_key(key.id)
                    await self._administration.record(
                        "API_KEY", "key.revoke", f"key:{key.id}", msgspec.to_builtins(key), None
                    )
            if secret is not None and same is None:
                new = ApiKey(id=SETTING, name="API_KEY", role="admin", created_at=self._clock(), from_setting=True)
                await self._store.add_key(new, domain.digest(secret))
                await self._administration.record(
                    "API_KEY", "key.create", f"key:{new.id}", None, msgspec.to_builtins(new)
                )

    async def any_admin(self) -> bool:
        """Whether somebody could administer this registry now."""
        return any(key.role == "admin" and not key.expired(self._clock()) for key in await self._store.keys())

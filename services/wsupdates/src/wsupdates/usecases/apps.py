"""Apps with their publish keys, channel rules and webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from wsmesh.contract import App, Webhook
from wsupdates.domain import apps as domain
from wsupdates.domain import audit, webhooks
from wsupdates.domain.apps import AppView, CreatedApp, NewApp
from wsupdates.domain.keys import digest
from wsupdates.domain.parts import WEBHOOKS, Part, Parts
from wsupdates.domain.refusals import Refusal
from wsupdates.domain.webhooks import WebhookSettings
from wsupdates.usecases.administration import Administration
from wsupdates.usecases.published import Published
from wsupdates.usecases.store import Duplicate, Store

Recorded = tuple[str, Callable[[App], dict[str, Any] | None]]
"""What is changed: its name in the audit record, and how the record shows it."""


class Apps:
    """Create, read, change and delete. `token(n)` gives n random bytes as URL-safe text.

    `plain_webhooks`: webhooks may go to other machines in clear text.
    """

    def __init__(
        self,
        store: Store,
        published: Published,
        administration: Administration,
        token: Callable[[int], str],
        *,
        plain_webhooks: bool = False,
    ) -> None:
        self._store = store
        self._published = published
        self._administration = administration
        self._token = token
        self._plain_webhooks = plain_webhooks

    async def create(self, key_name: str, new: NewApp) -> CreatedApp:
        """Add an app with one publish key."""
        publish_key = self._publish_key()
        app = App(
            id=new.id or _digits(self._token(9)),
            key=new.key or _letters(self._token(15)),
            secret=new.secret or self._token(32),
            publish_keys=[digest(publish_key)],
            **domain.fields(new),
        )
        async with self._store.changing():
            if await self._store.app(app.id) is not None:
                raise Refusal(
                    409, "app_exists", f"there is an app {app.id} already; change it, or choose another id", "id"
                )
            try:
                await self._store.add_app(app)
            except Duplicate:
                raise Refusal(409, "key_in_use", f"another app has the key {app.key}; choose another", "key") from None
            await self._published.bump()
            await self._administration.record(key_name, "app.create", f"app:{app.id}", None, audit.masked(app))
        await self._published.refresh()
        return domain.created(app, publish_key)

    async def page(self, after: str, limit: int) -> tuple[list[AppView], str | None]:
        """Apps by id, and the id to go on after when there are more."""
        found = await self._store.apps(after, limit + 1)
        more = found[limit - 1].id if len(found) > limit else None
        return [domain.view(app) for app in found[:limit]], more

    async def one(self, app_id: str) -> App:
        """One app. Raises Refusal when there is none."""
        app = await self._store.app(app_id)
        if app is None:
            raise domain.unknown(app_id)
        return app

    async def change(self, key_name: str, app_id: str, wanted: dict[str, Any]) -> AppView:
        """Change the settings that are named."""
        app = await self._changed(key_name, "app.change", app_id, lambda app: domain.changed(app, wanted))
        return domain.view(app)

    async def delete(self, key_name: str, app_id: str) -> None:
        """Remove an app with all that belongs to it."""
        async with self._store.changing():
            app = await self.one(app_id)
            await self._store.remove_app(app_id)
            await self._published.bump()
            await self._administration.record(key_name, "app.delete", f"app:{app_id}", audit.masked(app), None)
        await self._published.refresh()

    async def rotate_secret(self, key_name: str, app_id: str) -> str:
        """Give the app another secret; the old one ends at once."""
        secret = self._token(32)
        await self._changed(key_name, "app.secret", app_id, lambda app: replace(app, secret=secret))
        return secret

    async def add_publish_key(self, key_name: str, app_id: str) -> str:
        """Give the app one more publish key; earlier ones stay valid."""
        key = self._publish_key()
        await self._changed(
            key_name, "app.publish_key.create", app_id, lambda app: domain.with_publish_key(app, digest(key))
        )
        return key

    async def remove_publish_key(self, key_name: str, app_id: str, prefix: str) -> None:
        """End one publish key."""
        await self._changed(
            key_name, "app.publish_key.delete", app_id, lambda app: domain.without_publish_key(app, prefix)
        )

    async def put(self, key_name: str, app_id: str, parts: Parts[Part], new: Part) -> Part:
        """Add or replace a channel rule or a webhook."""
        name = parts.name_of(new)
        await self._changed_part(key_name, "put", app_id, parts, name, lambda app: parts.put(app, new))
        return new

    async def put_webhook(self, key_name: str, app_id: str, wanted: WebhookSettings) -> Webhook:
        """Add or replace a webhook, if its URL may be used."""
        return await self.put(key_name, app_id, WEBHOOKS, webhooks.checked(wanted, plain=self._plain_webhooks))

    async def remove(self, key_name: str, app_id: str, parts: Parts[Part], name: str) -> None:
        """Remove a channel rule or a webhook."""
        await self._changed_part(key_name, "delete", app_id, parts, name, lambda app: parts.removed(app, name))

    async def _changed_part(
        self, key_name: str, verb: str, app_id: str, parts: Parts[Part], name: str, change: Callable[[App], App]
    ) -> None:
        """Change one part of an app, which has records of its own."""
        recorded = (f"{parts.noun}:{app_id}/{name}", lambda app: parts.recorded(app, name))
        await self._changed(key_name, f"{parts.noun}.{verb}", app_id, change, recorded)

    async def _changed(
        self, key_name: str, action: str, app_id: str, change: Callable[[App], App], recorded: Recorded | None = None
    ) -> App:
        """Change an app; the record shows it, or the part of it that is given alone."""
        async with self._store.changing():
            before = await self.one(app_id)
            after = change(before)
            if after != before:
                await self._store.save_app(after)
                await self._published.bump()
                thing, shown = recorded or (f"app:{app_id}", audit.masked)
                await self._administration.record(key_name, action, thing, shown(before), shown(after))
        await self._published.refresh()
        return after

    def _publish_key(self) -> str:
        return f"wsp_{self._token(32)}"


def _digits(token: str) -> str:
    """A token as nine digits: some of Pusher's own libraries take no other app ids."""
    return str(10**8 + int.from_bytes(token.encode()) % (9 * 10**8))


def _letters(token: str) -> str:
    """A token as a name: it begins with a letter or digit."""
    return "".join(letter for letter in token if letter.isalnum()) or "app"

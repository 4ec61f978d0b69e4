"""The registry put together: database, use cases, web, and the sweep."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from wsmesh import logs, serving
from wsmesh.notify import Notifier
from wsmesh.settings import SettingsError
from wsmesh.tls import refuse_plaintext, server_context
from wsupdates.adapters import database
from wsupdates.adapters.database import Database, FileLock
from wsupdates.adapters.store import TortoiseStore
from wsupdates.domain.rates import Rates
from wsupdates.settings import RegistrySettings
from wsupdates.usecases.administration import Administration
from wsupdates.usecases.apps import Apps
from wsupdates.usecases.keys import Keys
from wsupdates.usecases.membership import SWEEP_SECONDS, Membership
from wsupdates.usecases.published import Published
from wsupdates.usecases.store import StoreUnavailable
from wsupdates.web import routes
from wsupdates.web.metrics import Metrics
from wsupdates.web.services import Services

STOP_SECONDS = 3.0

NO_ADMIN = """API_KEY: not set, and there is no valid admin key yet. Make one and keep it:
    wsupdates keys create --role admin --name NAME
or set API_KEY to at least 24 random characters, for example from `openssl rand -base64 32`."""

log = logs.get("registry")


@asynccontextmanager
async def opened(settings: RegistrySettings) -> AsyncIterator[Database]:
    """The database that the settings name."""
    url = settings.db_url.get_secret_value() if settings.db_url else None
    async with database.opened(settings.db_path, url) as found:
        yield found


def compose(settings: RegistrySettings, found: Database, clock: Callable[[], float] = time.time) -> Services:
    """Everything that the routes work with; `clock` gives Unix seconds."""
    metrics = Metrics()
    store = TortoiseStore(found, metrics.write_seconds.observe)
    administration = Administration(store, clock)
    published = Published(store, clock)
    return Services(
        store=store,
        published=published,
        membership=Membership(
            store, published, administration, clock, lease=settings.lease_seconds, slots=settings.slots
        ),
        apps=Apps(
            store,
            published,
            administration,
            secrets.token_urlsafe,
            plain_webhooks="webhooks" in settings.allow_plaintext,
        ),
        keys=Keys(store, administration, clock, secrets.token_urlsafe),
        administration=administration,
        metrics=metrics,
        rates=Rates(settings.requests_per_second),
        monotonic=time.monotonic,
    )


async def prepare(settings: RegistrySettings, services: Services) -> None:
    """What a start changes in the database: the key of the setting, and a generation newer than any before.

    Raises SettingsError when nobody could administer the registry.
    """
    key = settings.api_key.get_secret_value() if settings.api_key else None
    await services.keys.apply_setting(key)
    if not await services.keys.any_admin():
        raise SettingsError(NO_ADMIN)
    async with services.store.changing():
        await services.published.bump()
    await services.published.refresh()


async def serve(settings: RegistrySettings, notifier: Notifier, *, migrate: bool, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises SettingsError when it cannot start."""
    living = asyncio.create_task(notifier.keep_alive())
    try:
        await _serve(settings, notifier, migrate=migrate, stop=stop)
    finally:
        living.cancel()


async def _serve(settings: RegistrySettings, notifier: Notifier, *, migrate: bool, stop: asyncio.Event) -> None:
    tls = server_context(settings.tls_cert, settings.tls_key) if settings.tls_cert and settings.tls_key else None
    refuse_plaintext("registry", settings.host, has_tls=tls is not None, allowed=settings.allow_plaintext)
    async with AsyncExitStack() as stack:
        if settings.db_url is None:
            stack.callback(_only_one(settings.db_path).release)
        found = await stack.enter_async_context(opened(settings))
        await ensure_migrated(found, apply=migrate)
        services = compose(settings, found)
        await prepare(settings, services)
        sock = serving.bind(settings.host, settings.port, "PORT")
        listener = serving.Listener(routes.build(services, settings.max_body_bytes), sock, tls=tls)
        await listener.start()
        sweeping = asyncio.create_task(sweep_forever(services))
        log.info("started", host=settings.host, port=settings.port, generation=services.published.generation)
        notifier.ready(f"serving on {settings.host} port {settings.port}")
        await stop.wait()
        log.info("stopping")
        notifier.stopping("finishing requests")
        services.published.close()
        await listener.stop(STOP_SECONDS)
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        await sweep_once(services)


async def ensure_migrated(found: Database, *, apply: bool) -> None:
    """Apply pending migrations, or raise SettingsError when that was not asked for."""
    if not apply:
        if pending := await found.pending():
            raise SettingsError(f"--no-migrate: {', '.join(pending)} not applied yet; run `wsupdates migrate` first")
        return
    async with database.migrating(found):
        for name in await found.migrate():
            log.info("migrated", name=name)


async def sweep_forever(services: Services) -> None:
    """Sweep once a second."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        await sweep_once(services)


async def sweep_once(services: Services) -> None:
    """Write heartbeats and end leases that ran out; a database that does not answer is tried again next time."""
    try:
        with services.metrics.sweep_seconds.time():
            lost = await services.membership.sweep()
    except StoreUnavailable as problem:
        services.metrics.sweep_failures.inc()
        log.error("sweep_failed", problem=str(problem))
        return
    for member in lost:
        services.metrics.expiries.inc()
        log.warning("lease_expired", node=member.id, slot=member.slot, run=member.run)


def _only_one(db_path: Path) -> FileLock:
    lock = FileLock(db_path)
    if not lock.take():
        raise SettingsError(f"DB_PATH: another wsupdates serves {db_path}; stop it, or use PostgreSQL for several")
    return lock

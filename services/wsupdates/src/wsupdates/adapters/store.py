"""The store on Tortoise ORM: the same code for SQLite and PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import msgspec
from tortoise.exceptions import IntegrityError
from tortoise.expressions import F
from tortoise.transactions import in_transaction

from wsmesh.contract import App
from wsupdates.adapters import rows
from wsupdates.adapters.database import PROBLEMS, Database
from wsupdates.adapters.models import ApiKeyRow, AppRow, AuditRow, ClusterRow, MemberRow
from wsupdates.domain.audit import Entry
from wsupdates.domain.keys import ApiKey
from wsupdates.domain.members import LIVE, Member
from wsupdates.usecases.store import Duplicate, StoreUnavailable

P = ParamSpec("P")
R = TypeVar("R")


def _guarded(call: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Turn the database's errors into the store's."""

    @wraps(call)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await call(*args, **kwargs)
        except IntegrityError as problem:
            raise Duplicate(str(problem)) from problem
        except (*PROBLEMS, msgspec.ValidationError) as problem:
            raise StoreUnavailable(f"{type(problem).__name__}: {problem}") from problem

    return guarded


class TortoiseStore:
    """All reads and writes of the registry. `took` is told the seconds of each transaction that changed something."""

    def __init__(self, database: Database, took: Callable[[float], None]) -> None:
        self._database = database
        self._took = took
        self.shared = database.shared

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """A transaction that holds the cluster's row, so that changes come one after the other everywhere."""
        began = time.perf_counter()
        try:
            async with in_transaction():
                await ClusterRow.filter(id=1).update(generation=F("generation"))
                yield
        except IntegrityError as problem:
            raise Duplicate(str(problem)) from problem
        except PROBLEMS as problem:
            raise StoreUnavailable(f"{type(problem).__name__}: {problem}") from problem
        finally:
            self._took(time.perf_counter() - began)

    @_guarded
    async def check(self) -> None:
        """Raise StoreUnavailable unless the database answers and all migrations are applied."""
        if pending := await self._database.pending():
            raise StoreUnavailable(f"migrations are not applied: {', '.join(pending)}; run `wsupdates migrate`")

    @_guarded
    async def generation(self) -> int:
        """The present generation, 0 in a new database."""
        row = await ClusterRow.get(id=1)
        return int(row.generation)

    @_guarded
    async def set_generation(self, generation: int) -> None:
        """Write the generation."""
        await ClusterRow.filter(id=1).update(generation=generation)

    @_guarded
    async def members(self) -> list[Member]:
        """All members, gone ones too, by slot."""
        return [rows.member(row) for row in await MemberRow.all().order_by("slot")]

    @_guarded
    async def member(self, node_id: str) -> Member | None:
        """One member."""
        row = await MemberRow.get_or_none(id=node_id)
        return rows.member(row) if row else None

    @_guarded
    async def save_member(self, member: Member) -> None:
        """Add or change a member."""
        values = rows.columns(member)
        if not await MemberRow.filter(id=values.pop("id")).update(**values):
            await MemberRow.create(id=member.id, **values)

    @_guarded
    async def remove_member(self, node_id: str) -> None:
        """Forget a member and free its slot."""
        await MemberRow.filter(id=node_id).delete()

    @_guarded
    async def save_heartbeats(self, members: Iterable[Member]) -> None:
        """Write what heartbeats said, in one transaction."""
        began = time.perf_counter()
        async with in_transaction():
            for member in members:
                same = MemberRow.filter(id=member.id, run=member.run, state__in=LIVE, seen_at__lt=member.seen_at)
                values = rows.columns(member)
                await same.update(seen_at=values["seen_at"], figures=values["figures"])
        self._took(time.perf_counter() - began)

    @_guarded
    async def apps(self, after: str = "", limit: int | None = None) -> list[App]:
        """Apps by id."""
        query = AppRow.filter(id__gt=after).order_by("id")
        return [rows.app(row) for row in await (query.limit(limit) if limit else query)]

    @_guarded
    async def app(self, app_id: str) -> App | None:
        """One app."""
        row = await AppRow.get_or_none(id=app_id)
        return rows.app(row) if row else None

    @_guarded
    async def add_app(self, app: App) -> None:
        """Add an app."""
        await AppRow.create(**rows.columns(app))

    @_guarded
    async def save_app(self, app: App) -> None:
        """Change an app."""
        values = rows.columns(app)
        await AppRow.filter(id=values.pop("id")).update(**values)

    @_guarded
    async def remove_app(self, app_id: str) -> None:
        """Forget an app."""
        await AppRow.filter(id=app_id).delete()

    @_guarded
    async def key(self, digest: str) -> ApiKey | None:
        """The API key with this digest."""
        row = await ApiKeyRow.get_or_none(digest=digest)
        return rows.key(row) if row else None

    @_guarded
    async def keys(self, after: str = "", limit: int | None = None) -> list[ApiKey]:
        """API keys by id."""
        query = ApiKeyRow.filter(id__gt=after).order_by("id")
        return [rows.key(row) for row in await (query.limit(limit) if limit else query)]

    @_guarded
    async def add_key(self, key: ApiKey, digest: str) -> None:
        """Add an API key."""
        await ApiKeyRow.create(**rows.columns(key), digest=digest)

    @_guarded
    async def remove_key(self, key_id: str) -> None:
        """Forget an API key."""
        await ApiKeyRow.filter(id=key_id).delete()

    @_guarded
    async def record(self, entry: Entry) -> None:
        """Add to the audit record."""
        values = rows.columns(entry)
        del values["id"]
        await AuditRow.create(**values)

    @_guarded
    async def audit(self, before: int | None, limit: int) -> list[Entry]:
        """The latest entries, newest first."""
        query = AuditRow.filter(id__lt=before) if before is not None else AuditRow.all()
        return [rows.entry(row) for row in await query.order_by("-id").limit(limit)]

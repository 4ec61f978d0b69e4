"""Open the database, apply its migrations, and keep a second registry off a SQLite file."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from tortoise import connections
from tortoise.backends.base.config_generator import expand_db_url
from tortoise.context import TortoiseContext
from tortoise.exceptions import BaseORMException
from tortoise.migrations.executor import MigrationExecutor, MigrationTarget

from wsmesh.settings import SettingsError
from wsupdates.adapters.models import ClusterRow

APPS: dict[str, dict[str, Any]] = {
    "registry": {
        "models": ["wsupdates.adapters.models"],
        "migrations": "wsupdates.adapters.migrations",
        "default_connection": "default",
    }
}
BUSY_MILLISECONDS = 5_000
CONNECT_SECONDS = 5
CONNECTIONS = 10
PROBLEMS = (BaseORMException, sqlite3.Error, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
"""What a database that does not work raises."""

MIGRATION_LOCK = 0x77736D6573680001
"""The advisory lock that keeps two registries from migrating one PostgreSQL at the same time."""


class Database:
    """One open database. `shared`: whether other registries may use it at the same time."""

    def __init__(self, *, shared: bool) -> None:
        self.shared = shared

    async def pending(self) -> list[str]:
        """The names of migrations that are not applied, oldest first."""
        return [step.migration.name for step in await self._executor().plan(_TARGETS)]

    async def migrate(self) -> list[str]:
        """Apply what is pending; returns the names."""
        names = await self.pending()
        if names:
            await self._executor().migrate(_TARGETS)
            await ClusterRow.get_or_create({"generation": 0}, id=1)
        return names

    def _executor(self) -> MigrationExecutor:
        return MigrationExecutor(connections.get("default"), APPS)


_TARGETS = [MigrationTarget(app_label=label, name="__latest__") for label in APPS]


@asynccontextmanager
async def opened(db_path: Path, db_url: str | None) -> AsyncIterator[Database]:
    """The database, PostgreSQL when there is a URL. Raises SettingsError when it cannot be had."""
    config = _config(db_path, db_url)
    context = TortoiseContext()
    async with context:
        try:
            await context.init(config=config)
            await connections.get("default").execute_query("SELECT 1")
        except PROBLEMS as problem:
            name = "DB_URL" if db_url else "DB_PATH"
            raise SettingsError(f"{name}: the database cannot be used: {_text(problem)}") from None
        yield Database(shared=db_url is not None)


@asynccontextmanager
async def migrating(database: Database) -> AsyncIterator[None]:
    """Keep other registries of the same PostgreSQL from migrating meanwhile; nothing to do on SQLite."""
    if not database.shared:
        yield
        return
    client = connections.get("default")
    async with client.acquire_connection() as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        try:
            yield
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)


class FileLock:
    """The right to be the one registry of a SQLite file; it ends with the process, whatever becomes of it."""

    def __init__(self, db_path: Path) -> None:
        self._path = db_path.with_name(db_path.name + ".lock")
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether the lock is ours now. Raises SettingsError when the folder cannot be written."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise SettingsError(f"DB_PATH: cannot write {self._path}: {problem.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let others have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _config(db_path: Path, db_url: str | None) -> dict[str, Any]:
    if db_url is not None:
        connection = expand_db_url(db_url)
        connection["credentials"]["timeout"] = CONNECT_SECONDS
        connection["credentials"] |= {"application_name": "wsupdates", "maxsize": CONNECTIONS}
    else:
        try:
            os.close(os.open(db_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as problem:
            raise SettingsError(f"DB_PATH: cannot write {db_path}: {problem.strerror}") from None
        connection = {
            "engine": "tortoise.backends.sqlite",
            "credentials": {
                "file_path": str(db_path),
                "journal_mode": "WAL",
                "busy_timeout": BUSY_MILLISECONDS,
                "foreign_keys": "ON",
            },
        }
    return {"connections": {"default": connection}, "apps": APPS}


def _text(problem: BaseException) -> str:
    return " ".join(str(problem).split()) or type(problem).__name__

from __future__ import annotations

from pathlib import Path

import pytest
from tortoise import connections
from tortoise.context import require_context
from tortoise.migrations.autodetector import MigrationAutodetector

from wsmesh.settings import SettingsError
from wsupdates import app as registry
from wsupdates.adapters.database import APPS, FileLock
from wsupdates.adapters.models import ClusterRow
from wsupdates.settings import RegistrySettings
from wsupdates.usecases.store import StoreUnavailable


async def test_migrations_make_the_tables_of_the_models(settings: RegistrySettings) -> None:
    """No change of the models is without its migration."""
    async with registry.opened(settings) as found:
        assert await found.pending() == []
        apps = require_context().apps
        assert apps is not None
        assert await MigrationAutodetector(apps, APPS).changes() == []


async def test_an_empty_database_is_not_ready(tmp_path: Path) -> None:
    """A database without its migrations says so, and is not served when migrating was not asked for."""
    async with registry.opened(RegistrySettings(db_path=tmp_path / "new.sqlite3")) as found:
        services = registry.compose(RegistrySettings(db_path=tmp_path / "new.sqlite3"), found)
        with pytest.raises(StoreUnavailable, match=r"0001_initial, 0002_webhooks; run `wsupdates migrate`"):
            await services.store.check()
        with pytest.raises(SettingsError, match=r"^--no-migrate: 0001_initial, 0002_webhooks not applied yet"):
            await registry.ensure_migrated(found, apply=False)


async def test_sqlite_is_set_up_for_concurrent_readers(settings: RegistrySettings) -> None:
    """The file is in WAL mode, waits for locks, and is readable by its owner alone."""
    async with registry.opened(settings):
        _, rows = await connections.get("default").execute_query("PRAGMA journal_mode")
        assert rows[0][0] == "wal"
        _, rows = await connections.get("default").execute_query("PRAGMA busy_timeout")
        assert rows[0][0] == 5000
        assert await ClusterRow.all().count() == 1


async def test_a_new_file_is_private(tmp_path: Path) -> None:
    """A database that the registry makes cannot be read by others."""
    path = tmp_path / "new.sqlite3"
    async with registry.opened(RegistrySettings(db_path=path)):
        assert path.stat().st_mode & 0o777 == 0o600


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A file of something else is refused with one line."""
    path = tmp_path / "text"
    path.write_text("this is no database, but long enough to be one of some kind" * 50)
    with pytest.raises(SettingsError, match=r"^DB_PATH: the database cannot be used: file is not a database$"):
        async with registry.opened(RegistrySettings(db_path=path)):
            pass


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A path that cannot be written is refused with one line."""
    path = tmp_path / "none" / "x.sqlite3"
    with pytest.raises(SettingsError, match=rf"^DB_PATH: cannot write {path}: No such file or directory$"):
        async with registry.opened(RegistrySettings(db_path=path)):
            pass


def test_the_lock_of_a_file_is_held_once(tmp_path: Path) -> None:
    """A second lock on the same file fails until the first is released."""
    first, second = FileLock(tmp_path / "x"), FileLock(tmp_path / "x")
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()

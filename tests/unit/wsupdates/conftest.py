from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.registry import Api, Clock, in_process
from wsupdates import app as registry
from wsupdates.settings import RegistrySettings
from wsupdates.web.services import Services


@pytest.fixture
def clock() -> Clock:
    """A clock that only the test moves."""
    return Clock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all migrations applied, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "registry.sqlite3"

    async def migrate() -> None:
        async with registry.opened(RegistrySettings(db_path=path)) as found:
            await registry.ensure_migrated(found, apply=True)

    asyncio.run(migrate())
    return path


@pytest.fixture
def settings(tmp_path: Path, migrated: Path) -> RegistrySettings:
    """Settings with few slots and a small body limit, so that tests reach both, and a fresh database."""
    shutil.copyfile(migrated, tmp_path / "registry.sqlite3")
    return RegistrySettings(db_path=tmp_path / "registry.sqlite3", slots=3, max_body_bytes=4096)


@pytest.fixture
async def services(settings: RegistrySettings, clock: Clock) -> AsyncIterator[Services]:
    """The use cases on a fresh SQLite file."""
    async with registry.opened(settings) as found:
        services = replace(registry.compose(settings, found, clock), monotonic=clock)
        async with services.store.changing():
            await services.published.bump()
        await services.published.refresh()
        yield services


@pytest.fixture
async def api(services: Services, settings: RegistrySettings) -> AsyncIterator[Api]:
    """The HTTP interface over a real socket, with a key of each role."""
    async with in_process(services, settings) as api:
        yield api

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import asyncpg  # type: ignore[import-untyped]
import pytest
from tortoise.backends.base.executor import EXECUTOR_CACHE

from tests.support import postgres
from tests.support.registry import Api
from tests.support.registry_process import ADMIN_KEY, Registry

_number = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """One PostgreSQL for all tests of this process."""
    with postgres.server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """A fresh database."""
    name = f"registry{next(_number)}"

    async def create() -> None:
        connection = await asyncpg.connect(postgres_server)
        await connection.execute(f'CREATE DATABASE "{name}"')
        await connection.close()

    asyncio.run(create())
    return postgres_server.rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The settings of a fresh database of each kind."""
    # Tortoise keeps the text of its statements by table, as if a process only ever spoke one dialect.
    EXECUTOR_CACHE.clear()
    if request.param == "sqlite":
        return {"DB_PATH": str(tmp_path / "registry.sqlite3")}
    url: str = request.getfixturevalue("postgres_url")
    return {"DB_URL": url}


class Calls:
    """Calls to registries that run as processes."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def to(self, registry: Registry) -> Api:
        """Calls with the admin key alone; `with_keys` makes the others."""
        return Api(self._session, registry.url, {"admin": ADMIN_KEY})

    async def with_keys(self, registry: Registry) -> Api:
        """Calls with a key of each role."""
        api = self.to(registry)
        for role in ("node", "balancer"):
            made = await api("POST", "/api/v1/keys", json={"name": role, "role": role})
            api.keys[role] = made.json["key"]
        return api


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    """A client for the real processes."""
    async with aiohttp.ClientSession() as session:
        yield Calls(session)

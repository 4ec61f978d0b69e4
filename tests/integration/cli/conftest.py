"""One registry with one node for all tests of a worker; each test makes apps of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli import cluster
from tests.integration.cli.cluster import Command, Registry


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry."""
    with cluster.registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def wsmesh(registry: Registry, tmp_path: Path) -> Command:
    """The command, told where the registry is."""
    return Command(tmp_path, {"WS_UPDATES_URL": registry.url, "WS_UPDATES_KEY": registry.admin_key})


@pytest.fixture
def bare(tmp_path: Path) -> Command:
    """The command, told nothing."""
    return Command(tmp_path, {})


@pytest.fixture(scope="session")
def node(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A node; gives the URL of its client port."""
    folder = tmp_path_factory.mktemp("node")
    command = Command(folder, {"WS_UPDATES_URL": registry.url, "WS_UPDATES_KEY": registry.admin_key})
    key = command("keys", "create", "nodes", "--role", "node", "--json").json["key"]
    with cluster.node(folder, registry, key, "n1") as url:
        yield url


@pytest.fixture
def app(wsmesh: Command) -> dict[str, Any]:
    """A new app, as its creator sees it."""
    found: dict[str, Any] = wsmesh("apps", "create", f"a{secrets.token_hex(6)}", "--json").json
    return found

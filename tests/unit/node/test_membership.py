"""A node's membership, against the real registry in the same process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.support.registry import Api, in_process
from tests.support.waiting import until
from wsmesh.contract import ClusterConfig, Figures, Registration
from wsnode.adapters.registry_client import RegistryClient, RegistryUnreachable
from wsnode.adapters.state_dir import StateDir
from wsnode.membership import Membership
from wsupdates import app as registry_app
from wsupdates.settings import RegistrySettings


class Node:
    """A membership at work, and the configurations it was given."""

    def __init__(self, membership: Membership) -> None:
        self.membership = membership
        self.configs: list[ClusterConfig] = []


@asynccontextmanager
async def registry(folder: Path) -> AsyncIterator[Api]:
    """A registry on SQLite in `folder`."""
    settings = RegistrySettings(db_path=folder / "registry.sqlite3")
    async with registry_app.opened(settings) as found:
        await registry_app.ensure_migrated(found, apply=True)
        services = registry_app.compose(settings, found)
        async with services.store.changing():
            await services.published.bump()
        await services.published.refresh()
        async with in_process(services, settings) as api:
            yield api


@asynccontextmanager
async def node(url: str, key: str, folder: Path, *, run: str = "n1~run1", **more: Any) -> AsyncIterator[Node]:
    """A membership of node n1 that runs until the end of the block."""
    client = RegistryClient(urls=[url], key=key, tls=None, timeout=2)
    state_dir = StateDir(folder)
    await client.open()
    membership = Membership(
        registry=client,
        state_dir=state_dir,
        registration=Registration(
            id="n1",
            run=run,
            previous_run=state_dir.last_run(),
            location="here",
            client_address="127.0.0.1:7000",
            mesh_address="http://127.0.0.1:7100",
        ),
        use_config=lambda config: made.configs.append(config),
        state=lambda: "ready",
        figures=Figures,
        random=Random(1),
        **more,
    )
    made = Node(membership)
    task = asyncio.create_task(membership.run())
    try:
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await client.close()
        state_dir.release()


async def test_a_node_registers_and_gets_its_configuration(tmp_path: Path) -> None:
    """After the start the registry knows the node, and the node has a configuration that lists it."""
    async with registry(tmp_path) as api, node(api.url, api.keys["node"], tmp_path / "n1") as n1:
        await asyncio.wait_for(n1.membership.entered.wait(), 5)
        assert [member.id for member in n1.configs[-1].nodes] == ["n1"]
        answer = await api("GET", "/api/v1/nodes/n1")
        assert answer.json["run"] == "n1~run1"


async def test_a_change_reaches_the_node_by_itself(tmp_path: Path) -> None:
    """A new app is in the node's hands without the node asking again after some time."""
    async with registry(tmp_path) as api, node(api.url, api.keys["node"], tmp_path / "n1") as n1:
        await asyncio.wait_for(n1.membership.entered.wait(), 5)
        await api("POST", "/api/v1/apps", json={"id": "1", "name": "one"})
        await until(lambda: [app.id for app in n1.configs[-1].apps] == ["1"])


async def test_a_start_without_the_registry_uses_the_disk(tmp_path: Path) -> None:
    """A node that ran before starts with its last configuration while the registry is away, and says so."""
    async with registry(tmp_path) as api:
        async with node(api.url, api.keys["node"], tmp_path / "n1") as first:
            await asyncio.wait_for(first.membership.entered.wait(), 5)
            kept = tmp_path / "n1/config.json"
            await until(lambda: kept.exists() and msgspec.json.decode(kept.read_bytes(), type=ClusterConfig).nodes)
        key, url = api.keys["node"], api.url
    async with node(url, key, tmp_path / "n1", run="n1~run2") as again:
        await asyncio.wait_for(again.membership.entered.wait(), 5)
        assert again.configs[-1].generation == first.configs[-1].generation
        assert not again.membership.reachable
        assert "Connect" in again.membership.problem or "connect" in again.membership.problem


async def test_a_first_start_without_the_registry_waits(tmp_path: Path) -> None:
    """A node that never had a configuration has none, keeps asking, and says what is wrong."""
    async with node("http://127.0.0.1:1", "k" * 24, tmp_path / "n1") as n1:
        await until(lambda: "http://127.0.0.1:1" in n1.membership.problem)
        assert not n1.membership.configured.is_set()
        assert n1.configs == []


async def test_an_outage_of_the_registry_is_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the registry stays away, each problem is logged once and not at every attempt."""
    monkeypatch.setattr("wsnode.membership.RETRY_MOST", 0.02)
    with capture_logs() as entries:
        async with node("http://127.0.0.1:1", "k" * 24, tmp_path / "n1") as n1:
            asked = 0

            async def request(*_: Any, **__: Any) -> None:
                nonlocal asked
                asked += 1
                raise RegistryUnreachable("config away" if asked % 2 else "nodes away")

            monkeypatch.setattr(n1.membership._registry, "_request", request)
            await until(lambda: asked >= 10)
    told = [
        entry["problem"] for entry in entries if entry["event"] == "registry_unreachable" and "away" in entry["problem"]
    ]
    assert sorted(told) == ["config away", "nodes away"]


async def test_a_full_disk_does_not_end_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that cannot keep its state says so, enters all the same, and goes on following the configuration."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StateDir, "_replace", full)
    async with registry(tmp_path) as api:
        with capture_logs() as entries:
            async with node(api.url, api.keys["node"], tmp_path / "n1") as n1:
                await asyncio.wait_for(n1.membership.entered.wait(), 5)
                await api("POST", "/api/v1/apps", json={"id": "1", "name": "one"})
                await until(lambda: [app.id for app in n1.configs[-1].apps] == ["1"])
    told = {entry["problem"] for entry in entries if entry["event"] == "state_not_kept"}
    assert told == {"[Errno 28] No space left on device"}


async def test_a_second_process_with_the_same_id_is_refused(tmp_path: Path) -> None:
    """Another live run of the same node id is told so, and gets no peers to greet until the other has gone."""
    async with registry(tmp_path) as api:
        key = api.keys["node"]
        async with AsyncExitStack() as one:
            first = await one.enter_async_context(node(api.url, key, tmp_path / "one"))
            await asyncio.wait_for(first.membership.entered.wait(), 5)
            async with node(api.url, key, tmp_path / "two", run="n1~run2") as second:
                await until(lambda: second.membership.refused is not None)
                assert "n1" in str(second.membership.refused)
                await until(lambda: second.membership.reachable)
                assert second.configs == []
                await one.aclose()
                await api("DELETE", "/api/v1/nodes/n1?run=n1~run1")
                await asyncio.wait_for(second.membership.entered.wait(), 5)
                assert [member.id for member in second.configs[-1].nodes] == ["n1"]


async def test_a_restart_after_a_kill_takes_its_lease_over(tmp_path: Path) -> None:
    """The next run on the same disk registers at once, though the lease of the killed one still lives."""
    async with registry(tmp_path) as api:
        key = api.keys["node"]
        async with node(api.url, key, tmp_path / "n1") as first:
            await asyncio.wait_for(first.membership.entered.wait(), 5)
        async with node(api.url, key, tmp_path / "n1", run="n1~run2") as second:
            await asyncio.wait_for(second.membership.entered.wait(), 5)
            assert (await api("GET", "/api/v1/nodes/n1")).json["run"] == "n1~run2"


async def test_leaving_gives_the_lease_back(tmp_path: Path) -> None:
    """A node that leaves is no member any more."""
    async with registry(tmp_path) as api, node(api.url, api.keys["node"], tmp_path / "n1") as n1:
        await asyncio.wait_for(n1.membership.entered.wait(), 5)
        await n1.membership.leave()
        assert (await api("GET", "/api/v1/nodes/n1")).json["state"] == "left"


@pytest.mark.parametrize("role", ["balancer"])
async def test_a_key_of_another_role_is_told(tmp_path: Path, role: str) -> None:
    """A key that may not register is reported as the reason why the node is not taken."""
    async with registry(tmp_path) as api, node(api.url, api.keys[role], tmp_path / "n1") as n1:
        await until(lambda: n1.membership.refused is not None)
        assert "role" in str(n1.membership.refused)

"""The Python clients at a real cluster behind HAProxy, whose nodes are killed under them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from tests.support.clusters import running_cluster, set_rule, settle, trust
from tests.support.flow import Heard, busiest, check, flowing
from tests.support.waiting import until
from wsmesh.client import Client, Event, Item, Lost, Subscribed, SyncClient
from wsmesh.position import format_position, parse_position
from wsmesh_demo.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS = 60.0
"""The most that anything here may take."""


@dataclass
class Account:
    """What one client was told."""

    heard: list[Heard] = field(default_factory=list)
    recovered: list[bool | None] = field(default_factory=list)
    lost: int = 0

    def take(self, item: Item) -> None:
        """Note an item."""
        match item:
            case Event(data=data, id=str(event_id)):
                self.heard.append((int(data), event_id))
            case Subscribed(recovered=recovered):
                self.recovered.append(recovered)
            case Lost():
                self.lost += 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path_factory.mktemp("cluster") / "state") as cluster:
        await set_rule(cluster, "numbers-*", history_messages=10_000)
        yield cluster


@asynccontextmanager
async def async_client(cluster: Cluster, channel: str) -> AsyncIterator[Account]:
    """A `Client` that keeps its account."""
    account = Account()

    async def iterate() -> None:
        async with Client(cluster.url, cluster.app.key, tls=trust(cluster)) as client:
            await client.subscribe(channel)
            async for item in client:
                account.take(item)

    task = asyncio.create_task(iterate())
    try:
        await until(lambda: account.recovered or task.done(), SECONDS)
        yield account
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def sync_client(cluster: Cluster, channel: str) -> AsyncIterator[Account]:
    """A `SyncClient` in a thread that keeps its account."""
    account = Account()
    client = SyncClient(cluster.url, cluster.app.key, tls=trust(cluster))
    client.subscribe(channel)

    def iterate() -> None:
        for item in client:
            account.take(item)

    thread = threading.Thread(target=iterate, daemon=True)
    thread.start()
    try:
        await until(lambda: account.recovered or not thread.is_alive(), SECONDS)
        yield account
    finally:
        await asyncio.to_thread(client.close)
        await asyncio.to_thread(thread.join, SECONDS)


async def test_killed_nodes_cost_nothing(cluster: Cluster) -> None:
    """While nodes are killed, each client gets every message once and in order, and is told that it recovered."""
    async with (
        async_client(cluster, "numbers-1") as first,
        async_client(cluster, "numbers-1") as second,
        sync_client(cluster, "numbers-1") as third,
        sync_client(cluster, "numbers-1") as fourth,
    ):
        accounts = (first, second, third, fourth)
        async with flowing(cluster, "numbers-1") as flow:
            for _ in range(2):
                count, lost = flow.published, sum(account.lost for account in accounts)
                await until(lambda count=count: flow.published > count + 50, SECONDS)  # type: ignore[misc]
                killed = await busiest(cluster)
                await cluster.nodes.kill(killed.number)
                await until(lambda lost=lost: sum(account.lost for account in accounts) > lost, SECONDS)  # type: ignore[misc]
                count = flow.published
                await until(lambda count=count: all(len(a.heard) > count for a in accounts), SECONDS)  # type: ignore[misc]
                await cluster.nodes.start(killed.number)
        await until(lambda: all(len(account.heard) >= flow.published for account in accounts), SECONDS)
    for account in accounts:
        check(account.heard, range(flow.published))
        assert account.recovered[0] is None
        assert all(account.recovered[1:])
        assert account.lost >= len(account.recovered) - 1
    assert sum(account.lost for account in accounts) >= 2


async def test_another_client_goes_on_from_a_stored_position(cluster: Cluster) -> None:
    """A position that one client stored lets another one, at another node, go on right behind it."""
    heard: list[Heard] = []
    stored = ""
    async with AsyncExitStack() as stack, asyncio.timeout(SECONDS):
        async with Client(cluster.url, cluster.app.key, tls=trust(cluster)) as client:
            await client.subscribe("numbers-2")
            async for item in client:
                if isinstance(item, Subscribed):
                    flow = await stack.enter_async_context(flowing(cluster, "numbers-2"))
                if isinstance(item, Event) and item.id is not None:
                    heard.append((int(item.data), item.id))
                    stored = format_position(client.position("numbers-2") or {})
                    if len(heard) == 20:
                        break
        killed = await cluster.nodes.kill((await busiest(cluster)).number)
        missed = flow.published
        await until(lambda: flow.published > missed + 10, SECONDS)

    def go_on() -> list[bool | None]:
        recovered = []
        with SyncClient(cluster.url, cluster.app.key, tls=trust(cluster)) as client:
            client.subscribe("numbers-2", position=parse_position(stored))
            for item in client:
                if isinstance(item, Subscribed):
                    recovered.append(item.recovered)
                if isinstance(item, Event) and item.id is not None:
                    heard.append((int(item.data), item.id))
                    if len(heard) == flow.published:
                        break
        return recovered

    async with asyncio.timeout(SECONDS):
        assert await asyncio.to_thread(go_on) == [True]
    check(heard, range(flow.published))
    await cluster.nodes.start(killed.number)


async def test_what_the_history_holds_no_more_is_told(cluster: Cluster) -> None:
    """Who was away for longer than the channel's history is told so, gets none of it, and goes on with what is new."""
    await set_rule(cluster, "few", history_messages=5)
    async with asyncio.timeout(SECONDS), Client(cluster.url, cluster.app.key, tls=trust(cluster)) as client:
        await client.subscribe("few")
        async for item in client:
            if isinstance(item, Subscribed):
                break
        position = client.position("few")
    async with flowing(cluster, "few") as flow:
        await until(lambda: flow.published > 10, SECONDS)
    await settle(cluster)
    assert position is not None
    told: list[Item] = []
    async with AsyncExitStack() as stack, asyncio.timeout(SECONDS):
        client = await stack.enter_async_context(Client(cluster.url, cluster.app.key, tls=trust(cluster)))
        await client.subscribe("few", position=position)
        async for item in client:
            told.append(item)
            if isinstance(item, Subscribed):
                assert item.recovered is False
                await stack.enter_async_context(flowing(cluster, "few", first=flow.published))
            if isinstance(item, Event):
                break
    assert all(int(item.data) >= flow.published for item in told if isinstance(item, Event))

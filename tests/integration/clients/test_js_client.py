"""The official pusher-js with wsmesh-resume (clients/js), at a real cluster behind HAProxy whose nodes are killed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.support.clusters import running_cluster, set_rule, settle
from tests.support.flow import Heard, busiest, check, flowing
from tests.support.pusher_js import PusherJs
from tests.support.waiting import until
from wsmesh_demo.cluster import Cluster

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path_factory.mktemp("cluster") / "state") as cluster:
        await set_rule(cluster, "numbers-*", history_messages=10_000)
        yield cluster


@asynccontextmanager
async def pusher_js(cluster: Cluster, **resume: Any) -> AsyncIterator[PusherJs]:
    """A pusher-js that is wrapped."""
    parts = urlsplit(cluster.url)
    assert parts.hostname is not None
    assert parts.port is not None
    ca = cluster.certificates.ca
    js = await PusherJs.start(key=cluster.app.key, host=parts.hostname, port=parts.port, ca=ca, resume=resume)
    try:
        yield js
    finally:
        await js.stop()


async def hear(js: PusherJs, heard: list[Heard], count: int) -> None:
    """Read events until there are so many."""
    while len(heard) < count:
        event = await js.next("event")
        heard.append((event["data"], event["id"]))


async def test_a_killed_node_costs_nothing(cluster: Cluster) -> None:
    """While its node is killed under load, pusher-js gets every message once and in order, and is told so."""
    heard: list[Heard] = []
    async with pusher_js(cluster) as js:
        await js.subscribe("numbers-1")
        assert (await js.next("recovered"))["recovered"] is None
        async with flowing(cluster, "numbers-1") as flow:
            await until(lambda: flow.published > 50, SECONDS)
            killed = await cluster.nodes.kill((await busiest(cluster)).number)
            assert (await js.next("recovered", channel="numbers-1"))["recovered"] is True
            count = flow.published
            await until(lambda: flow.published > count + 50, SECONDS)
        await hear(js, heard, flow.published)
        check(heard, range(flow.published))
    await cluster.nodes.start(killed.number)


async def test_another_page_goes_on_from_a_position(cluster: Cluster) -> None:
    """A position of one client lets another one, at another node, go on right behind it."""
    heard: list[Heard] = []
    async with AsyncExitStack() as stack:
        async with pusher_js(cluster) as js:
            await js.subscribe("numbers-2")
            flow = await stack.enter_async_context(flowing(cluster, "numbers-2"))
            await hear(js, heard, 20)
            await js.do("position", channel="numbers-2")
            position = (await js.next("position"))["position"]
            heard += [(event["data"], event["id"]) for event in js.seen("event")]
        killed = await cluster.nodes.kill((await busiest(cluster)).number)
        missed = flow.published
        await until(lambda: flow.published > missed + 20, SECONDS)
    async with pusher_js(cluster, positions={"numbers-2": position}) as js:
        await js.subscribe("numbers-2")
        assert (await js.next("recovered"))["recovered"] is True
        await hear(js, heard, flow.published)
    check(heard, range(flow.published))
    await cluster.nodes.start(killed.number)


async def test_what_the_history_holds_no_more_is_told(cluster: Cluster) -> None:
    """Who was away for longer than the channel's history is told so, and gets what is new."""
    await set_rule(cluster, "few", history_messages=5)
    async with pusher_js(cluster) as js:
        await js.subscribe("few")
        await js.do("position", channel="few")
        position = (await js.next("position"))["position"]
    async with flowing(cluster, "few") as flow:
        await until(lambda: flow.published > 10, SECONDS)
    await settle(cluster)
    async with pusher_js(cluster, positions={"few": position}) as js:
        await js.subscribe("few")
        assert (await js.next("recovered"))["recovered"] is False
        async with flowing(cluster, "few", first=flow.published):
            assert (await js.next("event"))["data"] >= flow.published

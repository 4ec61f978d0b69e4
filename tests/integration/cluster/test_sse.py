"""Server-sent events through HAProxy: a node dies or drains, and the client goes on at another without a gap."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import yarl

from tests.support.clusters import running_cluster, settle, trust
from tests.support.sse import Reader
from tests.support.waiting import until
from wsmesh_demo.cluster import Cluster

MESSAGES = 60


class Browser:
    """Does what EventSource does: comes back to the same URL with the last id after `retry`, until it has enough."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = yarl.URL(url, encoded=True)
        self.http = http
        self.got: list[int] = []
        self.recovered: list[bool] = []
        self.connected = asyncio.Event()
        self._last = ""
        self._retry = 1000

    async def listen(self, number: int) -> None:
        """Until so many events have come."""
        while len(self.got) < number:
            self.connected.clear()
            with contextlib.suppress(aiohttp.ClientError):
                await self._once(number)
            await asyncio.sleep(self._retry / 1000)

    async def _once(self, number: int) -> None:
        headers = {"Last-Event-ID": self._last} if self._last else {}
        async with self.http.get(self.url, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.content_type == "text/event-stream"
            reader = Reader(answer.content.readany, self._last)
            try:
                while len(self.got) < number:
                    message = (await reader.next()).message
                    if message["event"] == "pusher_internal:subscription_succeeded":
                        self.recovered.append(json.loads(message["data"])["recovered"])
                        self.connected.set()
                    elif not message["event"].startswith("pusher"):
                        self.got.append(int(message["data"]))
            except (EOFError, aiohttp.ClientError):
                pass
            self._last = reader.parser.last_event_id
            self._retry = reader.parser.retry or self._retry


@asynccontextmanager
async def http_to(cluster: Cluster) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of HAProxy that keeps cookies, as a browser does."""
    connector = aiohttp.TCPConnector(ssl=trust(cluster))
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, timeout=aiohttp.ClientTimeout()) as http:
        yield http


async def publish(cluster: Cluster, http: aiohttp.ClientSession, channel: str, number: int) -> None:
    """Publish through HAProxy until it is acknowledged."""
    headers = {"Authorization": f"Bearer {cluster.app.publish_key}", "X-Idempotency-Key": f"{channel} {number}"}
    body = {"name": "e", "channel": channel, "data": str(number)}
    url = f"{cluster.url}/apps/{cluster.app.id}/events?acks=1"
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(aiohttp.ClientError):  # the node of a kept connection may just have been killed
                async with http.post(url, json=body, headers=headers) as it:
                    if it.status == 200:
                        return
                    assert it.status >= 500, await it.text()
            await asyncio.sleep(0.1)


async def signed_by_node_js(cluster: Cluster, *channels: str) -> str:
    """A URL that the JavaScript of the documentation makes."""
    text = (Path(__file__).parents[3] / "docs" / "sse.md").read_text()
    [example] = re.findall(r"```js\n(import .*?)```", text, re.DOTALL)
    host = cluster.url.removeprefix("https://")
    arguments = ", ".join(map(json.dumps, (host, cluster.app.key, cluster.app.secret, *channels)))
    process = await asyncio.create_subprocess_exec(
        "node",
        "--input-type=module",
        "-e",
        f"{example}\nconsole.log(eventsUrl({arguments}))",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode().strip()


async def node_with_stream(cluster: Cluster, http: aiohttp.ClientSession) -> int:
    """The number of the node that the only client is at."""
    async with asyncio.timeout(30):
        while True:
            for node in cluster.nodes:
                if node.process.alive:
                    async with http.get(f"{node.client_url}/metrics") as answer:
                        if "\nwsmesh_event_streams 1.0\n" in await answer.text():
                            return node.number
            await asyncio.sleep(0.05)


async def test_a_stream_goes_on_over_a_killed_and_a_drained_node(tmp_path: Path) -> None:
    """Every message comes once and in order, though the client's node is killed in their midst, and the next drains."""
    async with running_cluster(tmp_path / "cluster") as cluster, http_to(cluster) as http:
        browser = Browser(f"{cluster.url}/apps/{cluster.app.key}/events?channels=news", http)
        listening = asyncio.create_task(browser.listen(MESSAGES))
        async with asyncio.timeout(30):
            await browser.connected.wait()
        async with http_to(cluster) as publisher:
            for number in range(MESSAGES):
                if number == 20:
                    await settle(cluster)  # an order of what comes from two nodes is not promised
                    killed = await node_with_stream(cluster, publisher)
                    await cluster.nodes.kill(killed)
                if number == 40:
                    await until(lambda: len(browser.got) == 40, 60)
                    await cluster.nodes.start(killed)
                    await cluster.nodes.stop(await node_with_stream(cluster, publisher))
                await publish(cluster, publisher, "news", number)
        async with asyncio.timeout(60):
            await listening
        assert browser.got == list(range(MESSAGES))
        assert browser.recovered[0] is False
        assert len(browser.recovered) >= 3
        assert all(browser.recovered[1:])


async def test_a_private_stream_through_haproxy(tmp_path: Path) -> None:
    """A URL that a back end signed works through HAProxy, and events come at once, not with the next one."""
    async with running_cluster(tmp_path / "cluster", nodes=2) as cluster, http_to(cluster) as http:
        url = await signed_by_node_js(cluster, "private-orders")
        browser = Browser(url, http)
        listening = asyncio.create_task(browser.listen(3))
        async with asyncio.timeout(30):
            await browser.connected.wait()
        for number in range(1, 4):
            await publish(cluster, http, "private-orders", number)
            await until(lambda number=number: browser.got[-1:] == [number], 30)  # type: ignore[misc]
        await listening
        async with http.get(url.replace("private-orders", "private-others")) as answer:
            assert answer.status == 401
            assert (await answer.json())["error"]["code"] == "bad_signature"

"""A page in a real browser goes on over killed nodes, and runs no code of its own for that."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page

import wsmesh_demo
from tests.support.clusters import running_cluster, set_rule
from tests.support.flow import Heard, busiest, check, flowing
from tests.support.waiting import until
from wsmesh_demo.cluster import Cluster

SECONDS = 90.0
STATIC = Path(wsmesh_demo.__file__).parent / "static"
RESUME = Path(__file__).parents[2] / "clients" / "js" / "src"

PUSHER = """<!doctype html><script src="/static/pusher.min.js"></script><script type="module">
import { withResume } from "/resume/index.js";
const pusher = new Pusher("%(key)s", {
  cluster: "any", wsHost: location.hostname, wssPort: Number(location.port), forceTLS: true,
  enabledTransports: ["ws", "wss"],
});
const resume = withResume(pusher);
window.heard = [];
pusher.subscribe("numbers").bind("number", (number) => heard.push([number, resume.eventId]));
// What follows is for the test to look at: the page itself does nothing when its connection is lost.
window.connections = [];
window.recovered = [];
pusher.connection.bind("connected", () => connections.push(pusher.connection.socket_id));
resume.on("subscribed", (told) => recovered.push(told.recovered));
</script>"""

EVENT_SOURCE = """<!doctype html><script>
window.heard = [];
window.connections = [];
window.recovered = [];
const keys = new Set();
let last = "";
// A browser comes back by itself after a lost stream, but not after an error in place of one (docs/sse.md).
function listen() {
  const events = new EventSource(`/apps/%(key)s/events?channels=numbers${last && `&last_event_id=${last}`}`);
  events.onmessage = (message) => {
    const { event, data, id, key } = JSON.parse(message.data);
    last = message.lastEventId;
    if (event === "pusher:connection_established") connections.push(JSON.parse(data).socket_id);
    else if (event === "pusher_internal:subscription_succeeded") recovered.push(JSON.parse(data).recovered || null);
    else if (event === "number" && !keys.has(key)) heard.push([Number(data), id]);
    keys.add(key);
  };
  events.onerror = () => events.readyState === EventSource.CLOSED && setTimeout(listen, 500);
}
listen();
</script>"""


@asynccontextmanager
async def serving(cluster: Cluster, html: str) -> AsyncIterator[None]:
    """Serve a page behind HAProxy, as an application does."""

    async def index(_: web.Request) -> web.Response:
        return web.Response(text=html % {"key": cluster.app.key}, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", index)
    app.router.add_static("/static", STATIC)
    app.router.add_static("/resume", RESUME)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", cluster.plan.ports.page_port).start()
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(browser: Browser, cluster: Cluster, html: str) -> AsyncIterator[Page]:
    """A page at the cluster's own address; fails the test when the page has an error."""
    errors: list[str] = []
    visitor = await browser.new_context(ignore_https_errors=True)
    page = await visitor.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    async with serving(cluster, html):
        await page.goto(cluster.url)
        yield page
        assert errors == []
        await visitor.close()


async def heard(page: Page) -> list[Heard]:
    """What the page has heard."""
    return [(int(number), str(event_id)) for number, event_id in await page.evaluate("heard")]


@pytest.mark.parametrize("html", [PUSHER, EVENT_SOURCE], ids=["pusher-js", "EventSource"])
async def test_a_page_resumes_without_noticing(tmp_path: Path, browser: Browser, html: str) -> None:
    """Two killed nodes cost a page nothing: every message once and in order, and only its own callback ran."""
    async with running_cluster(tmp_path / "cluster") as cluster:
        await set_rule(cluster, "numbers", history_messages=10_000)
        async with opened(browser, cluster, html) as page:
            await page.wait_for_function("recovered.length === 1", timeout=SECONDS * 1000)
            async with flowing(cluster, "numbers", pause=0.02) as flow:
                for kills in (1, 2):
                    count = flow.published
                    await until(lambda count=count: flow.published > count + 30, SECONDS)  # type: ignore[misc]
                    killed = await cluster.nodes.kill((await busiest(cluster)).number)
                    await page.wait_for_function(f"recovered.length > {kills}", timeout=SECONDS * 1000)
                    await cluster.nodes.start(killed.number)
            await page.wait_for_function(f"heard.length >= {flow.published}", timeout=SECONDS * 1000)
            check(await heard(page), range(flow.published))
            recovered = await page.evaluate("recovered")
            assert recovered[0] is None
            assert all(recovered[1:])
            assert len(set(await page.evaluate("connections"))) >= 3

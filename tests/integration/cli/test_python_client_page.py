"""The programs in docs/python-client.md do what the page says."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.integration.cli.pusher_server import Conversation, pusher_server
from tests.support.waiting import until

PAGE = Path(__file__).parents[3] / "docs" / "python-client.md"
PROGRAMS = re.findall(r"^## (.+?)$|^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def program(section: str, number: int = 1) -> str:
    """A program in a section of the page, by default the first."""
    headings = [heading for heading, _ in PROGRAMS]
    return str(PROGRAMS[headings.index(section) + number][1])


async def serve(client: Conversation) -> None:
    """Take a subscriber to one channel, and tell it what its subscribe said."""
    await client.say("pusher:connection_established", {"socket_id": "1.2", "activity_timeout": 30})
    asked = (await client.hear())["data"]
    name, position = asked["channel"], asked["position"]
    answer = {"recovered": bool(position), "position": {"n1~x": 1}}
    await client.say("pusher_internal:subscription_succeeded", answer, channel=name)
    await client.say("headline", [position, asked.get("auth")], channel=name, id=f"n1~x:{2 + len(position)}")
    await client.socket.wait_closed()


@asynccontextmanager
async def back_end() -> AsyncIterator[str]:
    """An application's back end, and the publish API of a node; gives its URL."""

    async def auth(request: web.Request) -> web.Response:
        form = await request.post()
        return web.json_response({"auth": f"app-key:{form.get('socket_id')!s}:{form.get('channel_name')!s}"})

    async def publish(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer secret-publish-key"
        assert (await request.json())["channels"] == ["news"]
        return web.json_response({"id": "n1~x:7", "acknowledged_by": ["n2"]})

    app = web.Application()
    app.router.add_post("/pusher/auth", auth)
    app.router.add_post("/apps/shop/events", publish)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def run(folder: Path, code: str, lines: int, *, then: Path | None = None, **urls: str) -> list[str]:
    """Run a program until it has printed so many lines, and written a file; gives the lines."""
    for name, url in urls.items():
        code = code.replace(f"https://{name}.example", url)
    process = await asyncio.create_subprocess_exec(sys.executable, "-u", "-c", code, cwd=folder, stdout=PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            found = [(await process.stdout.readline()).decode().rstrip("\n") for _ in range(lines)]
        await until(lambda: then is None or (then.exists() and then.read_text()), 30)
        return found
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_subscribing(tmp_path: Path) -> None:
    """The first program prints events of both channels, and says when something may be missing."""

    async def act(client: Conversation) -> None:
        await client.take(2)
        await client.say("headline", 1, channel="news")
        await client.say("goal", 2, channel="sport")
        await client.close(4200)

    async with pusher_server(act) as server:
        lines = await run(tmp_path, program("Subscribing"), 4, push=server.url)
    assert lines[:2] == ["news headline 1", "sport goal 2"]
    assert lines[2:] == [f"something of {name} may be missing: load it anew" for name in ("news", "sport")]


async def test_keeping_a_position(tmp_path: Path) -> None:
    """The second program, run again, goes on from the position that it stored."""
    code = program("Keeping a position")
    async with pusher_server(serve) as server:
        assert await run(tmp_path, code, 1, push=server.url, then=tmp_path / "news.position") == ["[{}, null]"]
        assert await run(tmp_path, code, 1, push=server.url) == ['[{"n1~x": 2}, null]']


async def test_private_channels(tmp_path: Path) -> None:
    """The third program shows the proof that its back end gave."""
    async with pusher_server(serve) as server, back_end() as shop:
        lines = await run(tmp_path, program("Private and presence channels"), 1, push=server.url, shop=shop)
    assert lines == ['[{}, "app-key:1.2:private-orders"]']


async def test_without_an_event_loop(tmp_path: Path) -> None:
    """The sync program prints the first event and ends."""
    async with pusher_server(serve) as server:
        assert await run(tmp_path, program("Without an event loop"), 1, push=server.url) == ["headline [{}, null]"]


@pytest.mark.parametrize("number", [1, 2], ids=["async", "sync"])
async def test_publishing(tmp_path: Path, number: int) -> None:
    """Both of the last programs print the event id, and who holds the event."""
    async with back_end() as push:
        assert await run(tmp_path, program("Publishing", number), 1, push=push) == ["n1~x:7 ['n2']"]

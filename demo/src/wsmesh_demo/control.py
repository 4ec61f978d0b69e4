"""Commands to a running demo, over a Unix socket that only its owner can open."""

from __future__ import annotations

from pathlib import Path

import aiohttp
from aiohttp import web

from wsmesh_demo.cluster import Cluster
from wsmesh_demo.errors import DemoError

ANSWER_SECONDS = 120.0


class Control:
    """The running demo's side."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        app = web.Application()
        app.router.add_post("/nodes", self._add)
        app.router.add_post("/nodes/{number:[0-9]{1,4}}/kill", self._kill)
        app.router.add_post("/nodes/{number:[0-9]{1,4}}/start", self._start)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> None:
        """Take commands."""
        await self._runner.setup()
        path = self._cluster.state.control
        await web.UnixSite(self._runner, str(path)).start()
        path.chmod(0o600)

    async def stop(self) -> None:
        """Take no more."""
        await self._runner.cleanup()

    async def _kill(self, request: web.Request) -> web.Response:
        try:
            node = await self._cluster.nodes.kill(int(request.match_info["number"]))
        except DemoError as problem:
            return web.Response(status=409, text=str(problem))
        self._cluster.write_cluster_file()
        return web.Response(text=f"killed node {node.number} ({node.location})")

    async def _start(self, request: web.Request) -> web.Response:
        try:
            node = await self._cluster.nodes.start(int(request.match_info["number"]))
            await self._cluster.all_up()
        except DemoError as problem:
            return web.Response(status=409, text=str(problem))
        self._cluster.write_cluster_file()
        return web.Response(text=f"node {node.number} ({node.location}) runs and takes clients")

    async def _add(self, _: web.Request) -> web.Response:
        try:
            node = await self._cluster.nodes.add()
            await self._cluster.all_up()
        except DemoError as problem:
            return web.Response(status=409, text=str(problem))
        self._cluster.write_cluster_file()
        return web.Response(text=f"added node {node.number} ({node.location}); it takes clients")


async def command(control: Path, path: str) -> str:
    """Send a command to the demo; what it said. Raises DemoError when it refused or does not run."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(control)), timeout=timeout) as http,
            http.post(f"http://demo{path}") as answer,
        ):
            text = await answer.text()
    except (aiohttp.ClientError, OSError, TimeoutError) as problem:
        raise DemoError(f"the demo does not answer on {control}: {problem}") from None
    if answer.status != 200:
        raise DemoError(text)
    return text

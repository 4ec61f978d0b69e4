"""The back end of the page: serves its files, says how the cluster is, publishes for it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from wsmesh.registry_client import RegistryError
from wsmesh_demo.cluster import Cluster
from wsmesh_demo.ports import LOOPBACK
from wsmesh_demo.publisher import CHANNEL, NotAcknowledged, Publisher

STATIC = Path(__file__).parent / "static"
RESUME = Path(__file__).parents[3] / "clients" / "js" / "src"
"""The npm package wsmesh-resume, as it is in the repository: there is nothing to build."""
COOKIE = "wsmesh_node"
"""Set by HAProxy with the answer to a WebSocket handshake: the slot of the node that took it."""
LONGEST_TEXT = 200
FRESH_SECONDS = 0.5
"""So long the registry's answer serves all pages that ask."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page:
    """Serves on loopback; HAProxy puts it under the same address as the WebSockets."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._publisher = Publisher(cluster.url, cluster.certificates.ca, cluster.app)
        self._nodes: dict[str, Any] = {}
        self._asked_at = float("-inf")
        self._note: str | None = None
        app = web.Application(client_max_size=4096, middlewares=[_finish])
        app.router.add_get("/", self._index)
        app.router.add_static("/demo/static", STATIC)
        app.router.add_static("/demo/wsmesh-resume", RESUME)
        app.router.add_get("/demo/state", self._state)
        app.router.add_post("/demo/publish", self._publish)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> None:
        """Accept requests from HAProxy."""
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self._cluster.plan.ports.page_port).start()

    async def stop(self) -> None:
        """Accept no more."""
        await self._runner.cleanup()

    async def _index(self, _: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html")

    async def _state(self, request: web.Request) -> web.StreamResponse:
        await self._ask_registry()
        standing = await self._cluster.standing()
        nodes = []
        for node in self._cluster.nodes:
            known = self._nodes.get(node.id, {})
            nodes.append(
                {
                    "id": node.id,
                    "location": node.location,
                    "state": known.get("state", "unknown"),
                    "haproxy": standing[node.id],
                    "connections": known.get("figures", {}).get("connections", 0) if node.process.alive else 0,
                }
            )
        return web.json_response(
            {
                "key": self._cluster.app.key,
                "channel": CHANNEL,
                "state_file": _short(self._cluster.state.cluster_file),
                "make_option": self._cluster.state.make_option(),
                "nodes": nodes,
                "here": self._node_of(request.cookies.get(COOKIE, "")),
                "note": self._note,
            }
        )

    def _node_of(self, cookie: str) -> str | None:
        """The node that holds the slot which HAProxy's cookie names: `slot07`."""
        for name, node in self._nodes.items():
            if cookie.removeprefix("slot").lstrip("0") == str(node["slot"]):
                return name
        return None

    async def _ask_registry(self) -> None:
        now = time.monotonic()
        if now - self._asked_at < FRESH_SECONDS:
            return
        self._asked_at = now
        try:
            async with self._cluster.registry.client() as registry:
                self._nodes = {node["id"]: node for node in await registry.nodes()}
            self._note = None
        except RegistryError:
            self._note = "The registry does not answer: this is what it said last. Nodes and clients go on without it."

    async def _publish(self, request: web.Request) -> web.StreamResponse:
        # A form of another site cannot send this type, so nobody else's page publishes here.
        if request.content_type != "application/json":
            return _refusal(415, "unsupported_type", "send JSON: Content-Type: application/json")
        try:
            body = await request.json()
        except ValueError:
            return _refusal(400, "not_json", "the body must be JSON")
        text = body.get("text") if isinstance(body, dict) else None
        if not isinstance(text, str) or not 1 <= len(text) <= LONGEST_TEXT:
            return _refusal(400, "schema", f'expected {{"text": "1 to {LONGEST_TEXT} characters"}}')
        try:
            return web.json_response(await self._publisher.publish(text))
        except NotAcknowledged as problem:
            return _refusal(502, "not_acknowledged", str(problem))


@web.middleware
async def _finish(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        answer = await handler(request)
    except web.HTTPException as problem:
        if problem.status < 400:
            raise
        answer = _refusal(problem.status, "http", f"{request.path}: {problem.reason}")
    answer.headers.update(HEADERS)
    return answer


def _refusal(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)

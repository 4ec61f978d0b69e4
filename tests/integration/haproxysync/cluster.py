"""A cluster for the tests: a real HAProxy, small real nodes, a small registry, and haproxy-sync as a process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import ClientSession, WSMsgType, web

from tests.support.ports import free_port

TEMPLATE = Path(__file__).parents[3] / "roles/haproxy/templates/haproxy.cfg.j2"
KEY = "balancer-key-of-the-tests-0123456789"
COOKIE = "wsmesh_node"
HAPROXY = os.environ.get("HAPROXY_BINARY", "haproxy")
"""The HAProxy to test with; the two that are supported are 2.6 and 3.0."""

PYTHON = os.environ.get("BALANCER_PYTHON", sys.executable)
"""The Python that haproxy-sync runs with; a balancer may have one as old as 3.10."""
SOURCE = TEMPLATE.parents[3] / "services/haproxysync/src"


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 (nothing tells us)
            await asyncio.sleep(0.02)


async def serve(app: web.Application, port: int, tls: ssl.SSLContext | None = None) -> web.AppRunner:
    """Serve an application on loopback."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    return runner


@dataclass
class Node:
    """A node as HAProxy sees it: checks, the publish API (says the headers it got), and WebSockets."""

    id: str
    slot: int
    location: str = "here"
    state: str = "ready"
    weight: int = 100
    port: int = field(default_factory=free_port)
    ready: bool = True
    unready: int = 503
    """What `/readyz` answers when it is not ready."""
    tls: ssl.SSLContext | None = None
    runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/app/{key}", self._websocket)
        app.router.add_route("*", "/{any:.*}", self._other)
        self.runner = await serve(app, self.port, self.tls)

    async def stop(self) -> None:
        """Cut everything."""
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None

    def as_slot(self) -> dict[str, Any]:
        """What the registry says of it."""
        return {
            "slot": self.slot,
            "node": self.id,
            "location": self.location,
            "host": "127.0.0.1",
            "port": self.port,
            "weight": self.weight,
            "state": self.state,
        }

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(status=self.unready if not self.ready else 200)

    async def _other(self, request: web.Request) -> web.Response:
        return web.json_response({"node": self.id, "headers": dict(request.headers)})

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str(self.id)
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await ws.send_str(f"{self.id}:{message.data}")
        return ws


@dataclass
class Registry:
    """The registry's one route that haproxy-sync uses, with its key, ETag and long poll."""

    nodes: list[Node] = field(default_factory=list)
    generation: int = 1
    raw: bytes | None = None
    status: int = 200
    port: int = field(default_factory=free_port)
    requests: int = 0
    waiting: int = 0
    redirected: int = 0
    tls: ssl.SSLContext | None = None
    runner: web.AppRunner | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get("/api/v1/slots", self._slots)
        app.router.add_get("/elsewhere", self._elsewhere)
        self.runner = await serve(app, self.port, self.tls)

    async def stop(self) -> None:
        """Cut everything."""
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None

    def change(self) -> None:
        """Say that something changed."""
        self.generation += 1
        self.changed.set()
        self.changed = asyncio.Event()

    async def _elsewhere(self, _: web.Request) -> web.Response:
        self.redirected += 1
        return web.Response()

    async def _slots(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": {"code": "unauthorized", "message": "no such key"}}, status=401)
        if self.status != 200:
            error = {"error": {"code": "unavailable", "message": "later"}}
            return web.json_response(error, status=self.status, headers={"Location": "/elsewhere"})
        if request.headers.get("If-None-Match") == self._etag():
            self.waiting += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(float(request.query.get("wait", "0"))):
                    await self.changed.wait()
            self.waiting -= 1
            if request.headers["If-None-Match"] == self._etag():
                return web.Response(status=304)
        body = {"generation": self.generation, "slots": [node.as_slot() for node in self.nodes]}
        raw = json.dumps(body).encode() if self.raw is None else self.raw
        return web.Response(body=raw, content_type="application/json", headers={"ETag": self._etag()})

    def _etag(self) -> str:
        return f'"{self.generation}"'


@dataclass
class Result:
    """How a run of haproxy-sync ended."""

    code: int
    out: str
    err: str


@dataclass
class Cluster:
    """Everything together, in a folder of its own."""

    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)
    registry: Registry = field(default_factory=Registry)
    port: int = field(default_factory=free_port)
    nodes: list[Node] = field(default_factory=list)
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    haproxy: asyncio.subprocess.Process | None = None
    http: ClientSession = field(default_factory=ClientSession)

    def __post_init__(self) -> None:
        self.base = self.folder / "haproxy.cfg.base"
        self.config = self.folder / "haproxy.cfg"
        self.draining = self.folder / "draining.lst"
        self.state = self.folder / "state.json"
        self.metrics = self.folder / "sync.prom"
        self.lock = self.folder / "lock"
        self.socket = self.folder / "s"
        self.settings = {
            "WS_UPDATES_URL": self.registry.url,
            "WS_UPDATES_KEY": KEY,
            "LOCATION": "here",
            "HAPROXY_BASE": str(self.base),
            "HAPROXY_CONFIG": str(self.config),
            "HAPROXY_SOCKET": str(self.socket),
            "DRAINING_FILE": str(self.draining),
            "STATE_FILE": str(self.state),
            "METRICS_FILE": str(self.metrics),
            "LOCK_FILE": str(self.lock),
            "HAPROXY_BINARY": HAPROXY,
            "SLOTS": "6",
        }
        self.write_base()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def write_base(self, **variables: Any) -> None:
        """Render the template as the role does."""
        self.variables |= variables
        values = {
            "haproxy_bind": f"127.0.0.1:{self.port}",
            "haproxy_socket": str(self.socket),
            "haproxy_draining_file": str(self.draining),
            "haproxy_metrics_bind": "",
            "haproxy_check_inter": "100ms",
            "haproxy_slowstart": "",
            "haproxy_maxconn": 200,
            "haproxy_log": "stderr format short daemon",
            **self.variables,
        }
        environment = jinja2.Environment(
            trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined, autoescape=False
        )
        self.base.write_text(environment.from_string(TEMPLATE.read_text()).render(values))

    async def add(self, *nodes: Node) -> None:
        """Start nodes and register them."""
        for node in nodes:
            await node.start()
            self.nodes.append(node)
            self.registry.nodes.append(node)
        self.registry.change()

    def register(self, *nodes: Node) -> None:
        """Let the registry list just these nodes."""
        self.registry.nodes = list(nodes)
        self.registry.change()

    async def spawn(self, *arguments: str, **settings: str) -> asyncio.subprocess.Process:
        """Start haproxy-sync and leave it running."""
        process = await asyncio.create_subprocess_exec(
            PYTHON,
            "-m",
            "haproxysync.main",
            *arguments,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), **self.settings, **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.processes.append(process)
        return process

    async def sync(self, *arguments: str, **settings: str) -> Result:
        """Run haproxy-sync to its end."""
        process = await self.spawn(*arguments, **settings)
        async with asyncio.timeout(20):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())

    async def start_haproxy(self) -> None:
        """Start HAProxy with the configuration that haproxy-sync wrote."""
        self.haproxy = await asyncio.create_subprocess_exec(
            HAPROXY, "-f", str(self.config), stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        self.processes.append(self.haproxy)

        async def answers() -> bool:
            assert self.haproxy is not None
            assert self.haproxy.returncode is None, "HAProxy did not start"
            try:
                return "Pid:" in await self.command("show info")
            except OSError:
                return False

        await until(answers)

    async def stop_haproxy(self) -> None:
        """Kill HAProxy."""
        assert self.haproxy is not None
        self.haproxy.kill()
        await self.haproxy.wait()

    async def command(self, line: str) -> str:
        """Ask HAProxy's socket."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        writer.write(line.encode() + b"\n")
        try:
            return (await reader.read()).decode()
        finally:
            writer.close()
            await writer.wait_closed()

    async def info(self) -> dict[str, str]:
        """`show info` as names and values."""
        rows = [line.partition(": ") for line in (await self.command("show info")).splitlines()]
        return {name: value for name, _, value in rows}

    async def servers(self) -> dict[str, str]:
        """The status of each server, `nodes_own/slot01` -> `UP`, as on HAProxy's own status page."""
        rows = (await self.command("show stat")).splitlines()
        names = rows[0].removeprefix("# ").split(",")
        found = [dict(zip(names, row.split(","), strict=False)) for row in rows[1:] if row]
        return {f"{row['pxname']}/{row['svname']}": row["status"] for row in found}

    async def await_server(self, name: str, status: str) -> None:
        """Wait until HAProxy's checks say so."""

        async def reached() -> bool:
            return (await self.servers())[name].startswith(status)

        await until(reached)

    async def asked(self, cookie: str | None = None, path: str = "/apps/1/channels") -> str:
        """Which node answers a request."""
        headers = {} if cookie is None else {"Cookie": f"{COOKIE}={cookie}"}
        async with self.http.get(self.url + path, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["node"])

    async def open(self, cookie: str | None = None) -> WebSocket:
        """Open a WebSocket through HAProxy."""
        headers = {} if cookie is None else {"Cookie": f"{COOKIE}={cookie}"}
        socket_ = await self.http.ws_connect(f"{self.url}/app/key", headers=headers)
        return WebSocket(socket_, await socket_.receive_str(timeout=5))

    async def close(self) -> None:
        """End everything that was started."""
        await self.http.close()
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
        for node in self.nodes:
            await node.stop()
        await self.registry.stop()


@dataclass
class WebSocket:
    """An open WebSocket and the node that serves it."""

    socket: Any
    node: str

    async def alive(self) -> bool:
        """Whether a message still goes there and back."""
        try:
            await self.socket.send_str("hello")
            return bool(await self.socket.receive_str(timeout=5) == f"{self.node}:hello")
        except (TypeError, ConnectionError):
            return False

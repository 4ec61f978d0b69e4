"""HAProxy of a cluster, with haproxy-sync, and what it thinks of the nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jinja2

from haproxysync.adapters.haproxy import HAProxy, NotRunning, Trouble
from wsmesh_demo.errors import DemoError
from wsmesh_demo.plan import Plan
from wsmesh_demo.ports import LOOPBACK
from wsmesh_demo.processes import Process, program
from wsmesh_demo.registry import Registry

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "roles" / "haproxy" / "templates" / "haproxy.cfg.j2"

Standing = Literal["up", "down", "draining", "out"]
"""What HAProxy does with a node: gives it clients, found it dead, gives it none, or does not have it."""


class Balancer:
    """HAProxy with the configuration of the role's own template, completed by haproxy-sync."""

    def __init__(self, plan: Plan, registry: Registry, folder: Path, logs: Path, certificate: Path) -> None:
        self.socket = folder / "admin.sock"
        self.config = folder / "haproxy.cfg"
        self._plan = plan
        self._registry = registry
        self._folder = folder
        self._logs = logs
        self._base = folder / "base.cfg"
        self._draining = folder / "draining.lst"
        self._certificate = certificate
        self._runtime = HAProxy(self.socket, "haproxy", self._draining)
        self.process = Process("HAProxy", ["haproxy", "-db", "-f", str(self.config)], {}, logs / "haproxy.log")
        self.sync: Process

    async def start(self) -> None:
        """Write the configuration with the slots of now, start HAProxy with it, then haproxy-sync. Raises DemoError."""
        self._write_base()
        once = self._sync_process("--once")
        await once.start()
        await once.ended()
        if not self.config.exists():
            raise DemoError(f"haproxy-sync did not write HAProxy's configuration.\n{once.tail()}")
        await self.process.start()
        await self.process.ready(self._talks, self._plan.start_seconds)
        await self.start_sync()

    async def start_sync(self) -> None:
        """Start `haproxy-sync --watch`."""
        self.sync = self._sync_process("--watch")
        await self.sync.start()

    async def stop(self, seconds: float) -> None:
        """End both."""
        if hasattr(self, "sync"):
            await self.sync.stop(seconds)
        await self.process.stop(seconds)

    async def standing(self) -> dict[str, Standing]:
        """What HAProxy thinks of each node, by `host:port` of its client port; empty while HAProxy does not answer."""
        try:
            runtime = await asyncio.to_thread(self._runtime.read)
        except (NotRunning, Trouble):
            return {}
        found: dict[str, Standing] = {}
        for key, server in runtime.servers.items():
            if server.mode != "maint":
                alive: Standing = "up" if key in runtime.up else "down"
                found[f"{server.address}:{server.port}"] = "draining" if server.mode == "drain" else alive
        return found

    def sync_settings(self) -> dict[str, str]:
        """The environment of haproxy-sync, for another run of it."""
        return {
            "WS_UPDATES_URL": self._registry.url,
            "WS_UPDATES_KEY": self._registry.balancer_key,
            "LOCATION": self._plan.locations[0],
            "HAPROXY_BASE": str(self._base),
            "HAPROXY_CONFIG": str(self.config),
            "HAPROXY_SOCKET": str(self.socket),
            "HAPROXY_BINARY": program("haproxy"),
            "DRAINING_FILE": str(self._draining),
            "STATE_FILE": str(self._folder / "state.json"),
            "LOCK_FILE": str(self._folder / "sync.lock"),
            "METRICS_FILE": str(self._folder / "sync.prom"),
            **self._plan.sync_settings,
        }

    def _sync_process(self, mode: str) -> Process:
        return Process("haproxy-sync", ["haproxy-sync", mode], self.sync_settings(), self._logs / "haproxy-sync.log")

    async def _talks(self) -> bool:
        try:
            await asyncio.to_thread(self._runtime.read)
        except (NotRunning, Trouble):
            return False
        return True

    def _write_base(self) -> None:
        try:
            self._base.write_text(render({**self._variables(), **self._plan.haproxy_variables}))
        except (jinja2.TemplateError, OSError) as problem:
            raise DemoError(f"{TEMPLATE}: {problem}") from None

    def _variables(self) -> dict[str, Any]:
        ports = self._plan.ports
        return {
            "haproxy_bind": f"{LOOPBACK}:{ports.port}",
            "haproxy_tls_pem": str(self._certificate),
            "haproxy_socket": str(self.socket),
            "haproxy_draining_file": str(self._draining),
            "haproxy_metrics_bind": f"{LOOPBACK}:{ports.stats_port}",
            "haproxy_maxconn": 4000,
            "haproxy_check_inter": "500ms",
            "haproxy_check_timeout": "2s",  # the whole demo may share one busy core
            "haproxy_slowstart": "",
            "haproxy_pages": [{"name": "demo", "path": "/", "address": f"{LOOPBACK}:{ports.page_port}"}],
        }


def render(variables: Mapping[str, Any]) -> str:
    """The base configuration, as Ansible would render it. Raises jinja2.TemplateError."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE.parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (a configuration file, not HTML)
    )
    return environment.get_template(TEMPLATE.name).render(variables)

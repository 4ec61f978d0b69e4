"""The registry of a cluster: its process, the keys of the other parts, and an app."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from wsmesh.registry_client import RegistryClient, RegistryError
from wsmesh_demo.errors import DemoError
from wsmesh_demo.plan import Plan
from wsmesh_demo.ports import LOOPBACK
from wsmesh_demo.processes import Process, answers

APP = "1000"
"""The official `pusher` library for Python takes app ids of digits only."""


@dataclass(frozen=True)
class App:
    """The app that the cluster starts with."""

    id: str
    key: str
    secret: str
    publish_key: str

    def as_json(self) -> dict[str, str]:
        """Its form in cluster.json."""
        return asdict(self)


class Registry:
    """`wsupdates` on SQLite."""

    def __init__(self, plan: Plan, folder: Path, logs: Path) -> None:
        self.url = f"http://{LOOPBACK}:{plan.ports.registry_port}"
        self.admin_key = secrets.token_urlsafe(32)
        self.node_key = ""
        self.balancer_key = ""
        self._seconds = plan.start_seconds
        environ = {
            "HOST": LOOPBACK,
            "PORT": str(plan.ports.registry_port),
            "DB_PATH": str(folder / "wsupdates.sqlite3"),
            "API_KEY": self.admin_key,
            "LOG_FORMAT": "console",
            **plan.registry_settings,
        }
        self.process = Process("the registry", ["wsupdates", "serve"], environ, logs / "wsupdates.log")

    async def start(self) -> None:
        """Start it, with the data of its last run in this cluster. Raises DemoError."""
        await self.process.start()
        await self.process.ready(lambda: answers(f"{self.url}/readyz"), self._seconds)

    def client(self) -> RegistryClient:
        """A client with the admin key, to be used with `async with`."""
        return RegistryClient(self.url, self.admin_key)

    async def make_keys_and_app(self) -> App:
        """What the first start needs. Raises DemoError."""
        try:
            async with self.client() as registry:
                self.node_key = (await registry.create_key({"name": "nodes", "role": "node"}))["key"]
                self.balancer_key = (await registry.create_key({"name": "haproxy", "role": "balancer"}))["key"]
                app = await registry.create_app({"id": APP, "name": "Demo"})
                published = await registry.new_publish_key(APP)
        except RegistryError as problem:
            raise DemoError(f"the registry made no keys and no app: {problem}\n{self.process.tail()}") from None
        return App(APP, app["key"], app["secret"], published["publish_key"])

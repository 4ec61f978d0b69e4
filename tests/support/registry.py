"""A registry in the test's own loop, and calls to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from sanic import Sanic

from wsmesh import serving
from wsmesh.contract import Registration
from wsupdates.domain.keys import ROLES
from wsupdates.settings import RegistrySettings
from wsupdates.web import routes
from wsupdates.web.services import Services


class Clock:
    """Unix seconds that stand still until moved."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time now."""
        return self.now


class Answer:
    """Status, headers and body of an answer."""

    def __init__(self, status: int, headers: dict[str, str], raw: bytes, json: Any) -> None:
        self.status = status
        self.headers = headers
        self.raw = raw
        self.json = json

    @property
    def error(self) -> tuple[int, str, str | None]:
        """Status, code and field of an error; fails when the body has another shape."""
        assert set(self.json) == {"error"}
        assert set(self.json["error"]) == {"code", "message", "field"}
        return self.status, self.json["error"]["code"], self.json["error"]["field"]

    @property
    def message(self) -> str:
        """The text of an error."""
        return str(self.json["error"]["message"])


class Api:
    """Calls to a registry, with the key of a role."""

    def __init__(self, session: aiohttp.ClientSession, url: str, keys: dict[str, str]) -> None:
        self._session = session
        self.url = url
        self.keys = keys

    async def __call__(
        self, method: str, path: str, role: str | None = "admin", headers: dict[str, str] | None = None, **options: Any
    ) -> Answer:
        """One request; `json`, `data` and `params` as aiohttp takes them."""
        sent = dict(headers or {})
        if role is not None:
            sent["authorization"] = f"Bearer {self.keys[role]}"
        async with self._session.request(method, self.url + path, headers=sent, **options) as answer:
            raw = await answer.read()
            is_json = answer.content_type == "application/json" and raw
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Answer(answer.status, found, raw, await answer.json() if is_json else None)


def registration(node: str = "n1", run: str | None = None, **more: Any) -> dict[str, Any]:
    """The body of a node's registration."""
    body = {
        "id": node,
        "run": run or f"{node}~run1",
        "location": "here",
        "client_address": "127.0.0.1:7000",
        "mesh_address": "http://127.0.0.1:7100",
    }
    return body | more


def wanted(node: str = "n1", run: str | None = None, **more: Any) -> Registration:
    """The same as a struct."""
    return Registration(**registration(node, run, **more))


@asynccontextmanager
async def in_process(services: Services, settings: RegistrySettings) -> AsyncIterator[Api]:
    """Serve on a free port, with a key of each role."""
    sock = serving.bind("127.0.0.1", 0, "PORT")
    port = sock.getsockname()[1]
    app = routes.build(services, settings.max_body_bytes)
    listener = serving.Listener(app, sock)
    keys: dict[str, str] = {role: (await services.keys.create("test", role, role, None))[1] for role in ROLES}
    await listener.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Api(session, f"http://127.0.0.1:{port}", keys)
    finally:
        services.published.close()
        await listener.stop(1.0)
        Sanic.unregister_app(app)

"""Ask and change the registry over its HTTP API (`docs/registry-api.md`). Answers are the API's JSON, as it is."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from wsmesh.answers import error_of, why_none
from wsmesh.contract import ErrorBody
from wsmesh.decoding import UNREADABLE

Json = dict[str, Any]

PAGE = 100


class RegistryError(Exception):
    """The registry did not do what it was asked."""


class RegistryUnreachable(RegistryError):
    """No instance of the registry answered."""


class RegistryRefused(RegistryError):
    """The registry said no: `status` is HTTP's, `error` what was wrong."""

    def __init__(self, status: int, error: ErrorBody) -> None:
        super().__init__(f"{error.field}: {error.message}" if error.field else error.message)
        self.status = status
        self.error = error


class RegistryClient:
    """Talks to the first instance that answers. Every call raises `RegistryUnreachable` or `RegistryRefused`."""

    def __init__(self, urls: str, key: str = "", *, tls: ssl.SSLContext | None = None, timeout: float = 10.0) -> None:
        """`urls` are separated by commas; `key` is an API key; `timeout` is seconds for one request."""
        self._urls = [url.strip().rstrip("/") for url in urls.split(",") if url.strip()]
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(timeout, 3.0))
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True)
        self._http = aiohttp.ClientSession(connector=connector, headers=self._headers, timeout=self._timeout)
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._http is not None:
            await self._http.close()

    async def nodes(self) -> list[Json]:
        """All nodes that the registry knows."""
        return await self._all("/nodes", "nodes")

    async def node(self, node: str) -> Json:
        """One node."""
        return await self._call("GET", f"/nodes/{_part(node)}")

    async def drain(self, node: str) -> Json:
        """Have a node give up its clients and get no new ones."""
        return await self._call("POST", f"/nodes/{_part(node)}/drain")

    async def undrain(self, node: str) -> Json:
        """Let a drained node take clients again."""
        return await self._call("POST", f"/nodes/{_part(node)}/undrain")

    async def remove_node(self, node: str) -> None:
        """Forget a node and free its slot."""
        await self._call("DELETE", f"/nodes/{_part(node)}")

    async def apps(self) -> list[Json]:
        """All apps."""
        return await self._all("/apps", "apps")

    async def app(self, app: str) -> Json:
        """One app."""
        return await self._call("GET", f"/apps/{_part(app)}")

    async def create_app(self, fields: Mapping[str, Any]) -> Json:
        """Make an app; the answer is the only one that shows its secret."""
        return await self._call("POST", "/apps", json=fields)

    async def change_app(self, app: str, fields: Mapping[str, Any]) -> Json:
        """Change the given fields of an app."""
        return await self._call("PATCH", f"/apps/{_part(app)}", json=fields)

    async def delete_app(self, app: str) -> None:
        """Delete an app with its rules and keys."""
        await self._call("DELETE", f"/apps/{_part(app)}")

    async def new_publish_key(self, app: str) -> Json:
        """Make a publish key; the answer is the only one that shows it."""
        return await self._call("POST", f"/apps/{_part(app)}/publish-keys")

    async def new_secret(self, app: str) -> Json:
        """Give an app another secret; the answer is the only one that shows it."""
        return await self._call("POST", f"/apps/{_part(app)}/secret")

    async def rules(self, app: str) -> list[Json]:
        """The channel rules of an app."""
        return await self._all(f"/apps/{_part(app)}/rules", "rules")

    async def set_rule(self, app: str, pattern: str, fields: Mapping[str, Any]) -> Json:
        """Make or replace the channel rule of a pattern; what `fields` lacks gets its default."""
        return await self._call("PUT", f"/apps/{_part(app)}/rules/{_part(pattern)}", json=fields)

    async def delete_rule(self, app: str, pattern: str) -> None:
        """Delete the channel rule of a pattern."""
        await self._call("DELETE", f"/apps/{_part(app)}/rules/{_part(pattern)}")

    async def webhooks(self, app: str) -> list[Json]:
        """The webhooks of an app."""
        return await self._all(f"/apps/{_part(app)}/webhooks", "webhooks")

    async def set_webhook(self, app: str, name: str, fields: Mapping[str, Any]) -> Json:
        """Make or replace a webhook; what `fields` lacks gets its default."""
        return await self._call("PUT", f"/apps/{_part(app)}/webhooks/{_part(name)}", json=fields)

    async def delete_webhook(self, app: str, name: str) -> None:
        """Delete a webhook."""
        await self._call("DELETE", f"/apps/{_part(app)}/webhooks/{_part(name)}")

    async def keys(self) -> list[Json]:
        """All API keys, without the keys themselves."""
        return await self._all("/keys", "keys")

    async def create_key(self, fields: Mapping[str, Any]) -> Json:
        """Make an API key; the answer is the only one that shows it."""
        return await self._call("POST", "/keys", json=fields)

    async def revoke_key(self, key: str) -> None:
        """Make an API key invalid."""
        await self._call("DELETE", f"/keys/{_part(key)}")

    async def audit(self, limit: int) -> list[Json]:
        """The newest administrative changes, newest first."""
        return await self._all("/audit", "entries", limit)

    async def generation(self) -> int:
        """The number that grows with every change of membership or configuration."""
        return int((await self._call("GET", "/slots"))["generation"])

    async def ready(self) -> tuple[bool, str]:
        """Whether the registry can do its work, and what it says when it cannot."""
        status, raw = await self._send("GET", "/readyz")
        return status == 200, "" if status == 200 else error_of(status, raw).message

    async def _all(self, path: str, name: str, limit: int | None = None) -> list[Json]:
        """Every page of the list `name`, up to `limit` entries."""
        found: list[Json] = []
        query: dict[str, str] = {}
        while True:
            size = PAGE if limit is None else min(PAGE, limit - len(found))
            page = await self._call("GET", path, query={**query, "limit": str(size)})
            found += page.get(name, [])
            if page.get("next") is None or (limit is not None and len(found) >= limit):
                return found
            query = {"after": str(page["next"])}

    async def _call(
        self, method: str, path: str, *, json: Mapping[str, Any] | None = None, query: Mapping[str, str] | None = None
    ) -> Json:
        status, raw = await self._send(method, f"/api/v1{path}", json, query)
        if status >= 400:
            raise RegistryRefused(status, error_of(status, raw))
        if not raw:
            return {}
        try:
            return msgspec.json.decode(raw, type=Json)
        except UNREADABLE:
            raise RegistryUnreachable(
                f"{', '.join(self._urls)} does not answer as a registry; is this its URL?"
            ) from None

    async def _send(
        self,
        method: str,
        path: str,
        json: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        if self._http is None:
            raise RuntimeError("use `async with RegistryClient(…)`")
        body = None if json is None else msgspec.json.encode(json)
        headers = {} if body is None else {"Content-Type": "application/json"}
        problems = []
        for url in self._urls:
            target = URL(f"{url}{path}", encoded=True)
            try:
                async with self._http.request(method, target, params=query, data=body, headers=headers) as answer:
                    return answer.status, await answer.read()
            except (aiohttp.ClientError, OSError, ValueError) as problem:
                problems.append(f"{url}: {why_none(problem)}")
        raise RegistryUnreachable("the registry cannot be reached at " + "; ".join(problems))


def _part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")

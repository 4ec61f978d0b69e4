"""How a node talks to the registry."""

from __future__ import annotations

import ssl
from typing import Any, TypeVar

import aiohttp
import msgspec

from wsmesh.contract import ClusterConfig, ErrorAnswer, Heartbeat, Lease, Registration
from wsmesh.decoding import UNREADABLE

T = TypeVar("T")


class RegistryUnreachable(Exception):
    """No registry answered, or it is in trouble itself. The text says what was seen."""


class RegistryRefused(Exception):
    """The registry answered and refused. `code` is the contract's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RegistryClient:
    """The node's calls of the registry; with several URLs, the next one is tried when one does not answer."""

    def __init__(self, *, urls: list[str], key: str, tls: ssl.SSLContext | None, timeout: float = 5.0) -> None:
        self._urls = urls
        self._headers = {"Authorization": f"Bearer {key}"}
        self._tls: ssl.SSLContext | bool = tls or True
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready to send; needs a running loop."""
        self._session = aiohttp.ClientSession(headers=self._headers)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def config(self, generation: int | None, wait: float) -> ClusterConfig | None:
        """The configuration, or None if after `wait` seconds it still is of this generation."""
        headers = {} if generation is None else {"If-None-Match": f'"{generation}"'}
        params = {"wait": f"{wait:g}"} if wait else {}
        raw = await self._request("GET", "/api/v1/config", headers=headers, params=params, extra=wait)
        return None if raw is None else self._decoded(raw, ClusterConfig)

    async def register(self, registration: Registration) -> Lease:
        """Take or renew the lease of this node."""
        raw = await self._request("POST", "/api/v1/nodes", json=registration)
        return self._decoded(raw or b"", Lease)

    async def heartbeat(self, node: str, heartbeat: Heartbeat) -> Lease:
        """Keep the lease."""
        raw = await self._request("POST", f"/api/v1/nodes/{node}/heartbeat", json=heartbeat)
        return self._decoded(raw or b"", Lease)

    async def deregister(self, node: str, run: str) -> None:
        """Give the lease back."""
        await self._request("DELETE", f"/api/v1/nodes/{node}", params={"run": run})

    def _decoded(self, raw: bytes, shape: type[T]) -> T:
        try:
            return msgspec.json.decode(raw, type=shape)
        except UNREADABLE as problem:
            raise RegistryUnreachable(f"it gave an answer of another form: {problem}") from None

    async def _request(
        self, method: str, path: str, *, json: Any = None, extra: float = 0.0, **options: Any
    ) -> bytes | None:
        problem: RegistryUnreachable | None = None
        for url in list(self._urls):
            try:
                return await self._ask(method, url + path, json, self._timeout + extra, options)
            except RegistryUnreachable as seen:
                problem = seen
                self._urls.append(self._urls.pop(0))  # the next request begins with another one
        assert problem is not None
        raise problem

    async def _ask(self, method: str, url: str, json: Any, timeout: float, options: dict[str, Any]) -> bytes | None:
        assert self._session is not None
        if json is not None:
            options = options | {"data": msgspec.json.encode(json)}
            options["headers"] = {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, url, timeout=aiohttp.ClientTimeout(total=timeout), ssl=self._tls, **options
            ) as response:
                raw = await response.read()
        except TimeoutError:
            raise RegistryUnreachable(f"{url} did not answer within {timeout:g} s") from None
        except (aiohttp.ClientError, OSError) as seen:
            raise RegistryUnreachable(f"{url}: {seen or type(seen).__name__}") from None
        if response.status == 304:
            return None
        if response.status < 300:
            return raw
        if response.status >= 500:
            raise RegistryUnreachable(f"{url} answered with status {response.status}")
        try:
            error = msgspec.json.decode(raw, type=ErrorAnswer).error
        except UNREADABLE:
            raise RegistryUnreachable(f"{url} answered with status {response.status}") from None
        raise RegistryRefused(error.code, error.message)

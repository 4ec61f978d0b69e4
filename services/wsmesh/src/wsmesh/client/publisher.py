"""Publish over HTTP, with the app's publish key or its key and secret."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from wsmesh.answers import error_of
from wsmesh.decoding import UNREADABLE
from wsmesh.signature import request_signature


class PublishRefused(Exception):
    """The cluster did not take the event: `status` is HTTP's, `code` the error's, the text says what was wrong."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Publisher:
    """Publishes events of one app.

    Raises `PublishRefused` when the cluster says no, and aiohttp's `ClientError` or `TimeoutError` when it cannot be
    reached.
    """

    def __init__(
        self,
        url: str,
        app_id: str,
        *,
        publish_key: str | None = None,
        key: str | None = None,
        secret: str | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = 15.0,
    ) -> None:
        """Give either `publish_key`, or `key` and `secret`; `timeout` is seconds for one request."""
        if publish_key is None and (key is None or secret is None):
            raise ValueError("a publisher needs the publish key of the app, or its key and secret")
        self._url = url.rstrip("/")
        self._path = f"/apps/{app_id}/events"
        self._publish_key, self._key, self._secret = publish_key, key or "", secret or ""
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        tls = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True)
        self._http = aiohttp.ClientSession(connector=tls, timeout=self._timeout)
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._http is not None:
            await self._http.close()

    async def publish(
        self,
        channels: list[str],
        name: str,
        data: str,
        *,
        acks: int | str | None = None,
        socket_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Publish one event to up to 100 channels; gives the cluster's answer, `{"id": …, "acknowledged_by": […]}`.

        With an `idempotency_key`, 1 to 128 printable ASCII characters of the caller's making and new for each event,
        the same call may be repeated, at any node, without a second event. Raises ValueError for one with a line break.
        """
        body = event_body(channels, name, data, acks=acks, socket_id=socket_id)
        headers = {"Content-Type": "application/json"}
        if idempotency_key is not None:
            headers["X-Idempotency-Key"] = idempotency_key
        query: dict[str, str] = {}
        if self._publish_key is not None:
            headers["Authorization"] = f"Bearer {self._publish_key}"
        else:
            query = signed_query(self._key, self._secret, self._path, body, time.time())
        if self._http is None:
            raise RuntimeError("use `async with Publisher(…)`")
        async with self._http.post(self._url + self._path, params=query, data=body, headers=headers) as answer:
            raw = await answer.read()
            if answer.status >= 400:
                error = error_of(answer.status, raw)
                raise PublishRefused(answer.status, error.code, error.message)
            found = _decode(raw)
            if not isinstance(found, dict):
                raise PublishRefused(
                    answer.status, "bad_answer", "the answer is not that of a publish; is this the URL?"
                )
            return found


def event_body(
    channels: list[str], name: str, data: str, *, acks: int | str | None = None, socket_id: str | None = None
) -> bytes:
    """The JSON body of `POST /apps/{id}/events`."""
    body: dict[str, Any] = {"name": name, "channels": channels, "data": data}
    if socket_id is not None:
        body["socket_id"] = socket_id
    if acks is not None:
        body["acks"] = acks
    return msgspec.json.encode(body)


def signed_query(key: str, secret: str, path: str, body: bytes, now: float) -> dict[str, str]:
    """The query that signs `POST path` with `body` at `now`, seconds since the epoch."""
    query: Mapping[str, str] = {
        "auth_key": key,
        "auth_timestamp": str(int(now)),
        "auth_version": "1.0",
        "body_md5": hashlib.md5(body, usedforsecurity=False).hexdigest(),
    }
    return {**query, "auth_signature": request_signature(secret, "POST", path, query)}


def _decode(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        return None

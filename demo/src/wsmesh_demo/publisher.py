"""Publishes with Pusher's own Python library, which knows nothing of wsmesh but a host, a port and keys."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pusher  # type: ignore[import-untyped]
import requests
from pusher.errors import PusherError  # type: ignore[import-untyped]
from pusher.requests import RequestsBackend  # type: ignore[import-untyped]

from wsmesh_demo.registry import App

CHANNEL = "demo"
EVENT = "message"
TRIES = 4
PAUSE = 0.3


class NotAcknowledged(Exception):
    """A publish was not answered with success; the text says how it failed."""


def trusting(ca: Path) -> type[Any]:
    """The library's HTTP backend, trusting the authority `ca` instead of the ones that it ships."""

    class Backend(RequestsBackend):  # type: ignore[misc]
        def __init__(self, client: Any, **options: Any) -> None:
            super().__init__(client, **options)
            self.options["verify"] = str(ca)

    return Backend


def client(url: str, ca: Path, app: App, **options: Any) -> pusher.Pusher:
    """The official client for an app of the cluster behind `url` (https). It blocks: use it in a thread."""
    parts = urlsplit(url)
    return pusher.Pusher(
        app.id, app.key, app.secret, ssl=True, host=parts.hostname, port=parts.port, backend=trusting(ca), **options
    )


def _with_key(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Give a publish an idempotency key: the same one when it is tried again."""
    body = request.body if isinstance(request.body, bytes) else str(request.body).encode()
    request.headers["X-Idempotency-Key"] = hashlib.sha256(body).hexdigest()
    return request


class Publisher:
    """Numbers what is published 1, 2, 3 …, so that whoever listens sees when one is missing."""

    def __init__(self, url: str, ca: Path, app: App) -> None:
        self._client = client(url, ca, app, timeout=5, auth=_with_key)
        self._next = 1
        self._one_at_a_time = asyncio.Lock()

    async def publish(self, text: str) -> dict[str, Any]:
        """Publish a text; what the node answered. A node may die meanwhile, so it is tried a few times.

        Raises NotAcknowledged, and then the next text gets this number.
        """
        async with self._one_at_a_time:
            data = {"n": self._next, "text": text, "sent_at": int(time.time() * 1000)}
            for tried in range(1, TRIES + 1):
                try:
                    answer: dict[str, Any] = await asyncio.to_thread(self._client.trigger, CHANNEL, EVENT, data)
                    break
                except (PusherError, requests.RequestException, ValueError) as problem:
                    if tried == TRIES:
                        raise NotAcknowledged(str(problem)) from None
                    await asyncio.sleep(PAUSE)
            self._next += 1
            return {"n": data["n"], **answer}

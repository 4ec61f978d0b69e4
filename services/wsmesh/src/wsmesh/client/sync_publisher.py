"""The sync publisher: the async one, on an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from wsmesh.client.publisher import Publisher

T = TypeVar("T")


class SyncPublisher:
    """`Publisher` for programs without an event loop; several threads may share one.

    Its thread keeps the connection: events go to one node, without a new TLS handshake for each.
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
        """As for `Publisher`."""
        self._publisher = Publisher(
            url, app_id, publish_key=publish_key, key=key, secret=secret, tls=tls, timeout=timeout
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        runner = asyncio.Runner()
        self._loop = runner.get_loop()
        self._thread = threading.Thread(target=_turn, args=(runner,), name="wsmesh-publisher", daemon=True)
        self._thread.start()
        _wait(self._loop, self._publisher.__aenter__())
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and self._thread is not None:
            _wait(loop, self._publisher.__aexit__())
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join()

    def publish(
        self,
        channels: list[str],
        name: str,
        data: str,
        *,
        acks: int | str | None = None,
        socket_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Publish one event, as `Publisher.publish`, with the same errors; blocks until the answer."""
        if self._loop is None:
            raise RuntimeError("use `with SyncPublisher(…)`")
        return _wait(
            self._loop,
            self._publisher.publish(
                channels, name, data, acks=acks, socket_id=socket_id, idempotency_key=idempotency_key
            ),
        )


def _wait(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(work, loop).result()


def _turn(runner: asyncio.Runner) -> None:
    """Run the loop until it is stopped; leaving the runner ends what still waits in other threads."""
    with runner:
        runner.get_loop().run_forever()

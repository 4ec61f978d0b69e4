"""A client port without a cluster, and raw subscribers in another process, for the benchmarks of this folder."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from sanic import Sanic

from wsmesh.contract import App
from wsmesh.serving import Listener, bind
from wsnode.domain.directory import Directory
from wsnode.domain.history import History
from wsnode.domain.hub import Hub
from wsnode.settings import NodeSettings
from wsnode.web.client_protocol import add_client_routes
from wsnode.web.clients import Clients

APP = App(id="bench", key="bench", secret="bench")  # noqa: S106
CHANNEL = "bench"
HANDSHAKE = (
    b"GET /app/bench?protocol=7 HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Clients, int]]:
    """Serve clients on a free port of loopback: the clients and the port."""
    given = {"node_id": "bench", "cluster_key": "b" * 24, "ws_updates_url": "http://127.0.0.1:1"}
    settings = NodeSettings.model_validate(given | {"ws_updates_key": "b" * 24})
    now = asyncio.get_running_loop().time
    hub = Hub(
        "bench~1",
        Directory([APP]),
        History(300, 134_217_728),
        position=lambda: {"bench~1": 0},
        floors=dict,
        time_of_day=time.time,
    )
    clients = Clients(hub, settings, announce=lambda _: None, now=now)
    clients.ready = True
    app: Sanic[Any, Any] = Sanic("bench", configure_logging=False)
    app.config.update(TOUCHUP=False, AUTO_EXTEND=False)
    add_client_routes(app, clients)
    sock = bind("127.0.0.1", 0, "PORT")
    listener = Listener(app, sock)
    await listener.start()
    try:
        yield clients, sock.getsockname()[1]
    finally:
        await clients.close_all()
        await listener.stop(1.0)


@asynccontextmanager
async def subscribers(
    clients: Clients, port: int, number: int, *, subscribe: bool, already: int = 0
) -> AsyncIterator[None]:
    """Have `number` more clients than there are `already`, from another process that reads and drops what they get."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, str(port), str(number), str(int(subscribe)), stdin=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(120):
            while clients.sessions < already + number or (subscribe and clients.hub.subscriptions < number):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


class _Subscriber(asyncio.BufferedProtocol):
    """Shows its handshake, subscribes, and reads everything into one buffer that all share."""

    buffer = memoryview(bytearray(1_048_576))

    def __init__(self, subscribe: bytes) -> None:
        self._subscribe = subscribe

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(HANDSHAKE + self._subscribe)

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, _nbytes: int) -> None:
        pass


async def _subscribe_all(port: int, number: int, *, subscribe: bool) -> None:
    data = json.dumps({"event": "pusher:subscribe", "data": {"channel": CHANNEL}}).encode()
    frame = bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data if subscribe else b""
    loop = asyncio.get_running_loop()
    for _ in range(number):
        await loop.create_connection(lambda: _Subscriber(frame), "127.0.0.1", port)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    import uvloop

    uvloop.run(_subscribe_all(int(sys.argv[1]), int(sys.argv[2]), subscribe=sys.argv[3] == "1"))

"""A plain subscriber for tests: notes everything it hears, with the time, and whether its socket was ever closed."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

CONNECTED, SUBSCRIBED = "pusher:connection_established", "pusher_internal:subscription_succeeded"


@dataclass
class Listener:
    """What one subscriber heard. `data` of events is decoded; `closed` is the close code once it was closed."""

    socket_id: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    closed: int | None = None

    async def listen(self, ws: ClientConnection) -> None:
        """Note events until the connection ends."""
        try:
            async for text in ws:
                event = json.loads(text)
                if event["event"].startswith("pusher"):
                    continue
                self.times.append(time.monotonic())
                self.events.append(event | {"data": json.loads(event["data"])})
        except ConnectionClosed:
            pass
        self.closed = ws.close_code


@asynccontextmanager
async def listening(url: str, key: str, *channels: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """Subscribe to channels at `url` (http or https) until the end of the block."""
    ws_url = f"{url.replace('http', 'ws', 1)}/app/{key}?protocol=7&client=test&version=1"
    async with connect(ws_url, ssl=tls, compression=None, max_queue=None, ping_interval=None) as ws:
        listener = Listener()
        first = json.loads(await ws.recv())
        assert first["event"] == CONNECTED, first
        listener.socket_id = json.loads(first["data"])["socket_id"]
        for channel in channels:
            await ws.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}}))
            answer = json.loads(await ws.recv())
            assert answer["event"] == SUBSCRIBED, answer
        task = asyncio.create_task(listener.listen(ws))
        try:
            yield listener
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

"""A lean client: one WebSocket, one channel, resume by position as docs/client-protocol.md says. No library of ours."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
from typing import Any, cast

import msgspec

from tests.failover.account import Account

PATIENCE = 5.0
"""Seconds until a connection that is not subscribed yet is given up."""
SILENCE = 30.0
"""Seconds after which the client asks whether the other side is there; as many again, and it leaves."""
FIRST, MOST = 0.25, 4.0
"""Seconds of the reconnects' backoff, with full jitter."""


class Frame(msgspec.Struct):
    """What the node sends."""

    event: str
    data: Any = None
    id: str = ""
    key: str = ""
    channel: str = ""


class Numbered(msgspec.Struct):
    """What the publishers put into a message; `t` is the machine's steady clock."""

    p: int
    n: int
    t: float


decode = msgspec.json.Decoder(Frame).decode
decode_numbered = msgspec.json.Decoder(Numbered).decode


class Listener:
    """One client, over all its connections. `tell` takes what the worker notes of it."""

    def __init__(self, name: int, address: tuple[str, int], key: str, channel: str, worker: Any) -> None:
        self.name = name
        self.channel = channel
        self.account = Account()
        self.connections = 0
        self.subscribed = False
        self.losses: list[dict[str, Any]] = []
        """For every connection that was lost: when, with which close code, and how the client came back."""
        self.last_heard = 0.0
        self.longest_silence = 0.0
        self._address = address
        self._key = key
        self._worker = worker
        self._position: dict[str, int] | None = None
        self._failures = 0
        self._loop = asyncio.get_running_loop()
        self._ended = False
        self._wire: Wire | None = None

    def connect(self) -> None:
        """Begin a connection."""
        if not self._ended:
            self._worker.tasks.add(task := self._loop.create_task(self._connect()))
            task.add_done_callback(self._worker.tasks.discard)

    def end(self) -> None:
        """Close for good."""
        self._ended = True
        if self._wire is not None and self._wire.transport is not None:
            self._wire.transport.abort()

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._loop.create_connection(lambda: Wire(self, self._key), *self._address)
        except (OSError, TimeoutError):
            self._again(None)

    def begun(self, wire: Wire) -> None:
        """The transport is there."""
        self._wire = wire
        self.connections += 1

    def heard(self, text: bytes) -> None:
        """A text frame came."""
        frame = decode(text)
        assert self._wire is not None
        match frame.event:
            case "pusher:connection_established":
                data: dict[str, Any] = {"channel": self.channel, "position": self._position or {}}
                self._wire.send(json.dumps({"event": "pusher:subscribe", "data": data}).encode())
            case "pusher_internal:subscription_succeeded":
                self._answered(json.loads(frame.data))
            case "pusher_internal:position":
                if self._position is not None:
                    self._position = json.loads(frame.data)["position"]
            case "pusher:ping":
                self._wire.send(b'{"event":"pusher:pong","data":{}}')
            case "pusher:pong":
                pass
            case "pusher:error":
                self._worker.errors[str(frame.data)] += 1
            case "pusher:subscription_error":
                raise AssertionError(f"refused: {frame.data}")
            case _:
                self._event(frame)

    def _answered(self, data: dict[str, Any]) -> None:
        self.subscribed = True
        self._failures = 0
        recovered = data["recovered"]
        if not recovered or self._position is None:
            if self._position is not None:
                self._worker.unrecovered.append(self.name)
            self._position = data["position"]
        if self.losses:
            self.losses[-1] |= {"back": self._loop.time(), "recovered": recovered}

    def _event(self, frame: Frame) -> None:
        now = self._loop.time()
        numbered = decode_numbered(frame.data)
        stream, _, seq = frame.id.rpartition(":")
        assert self._position is not None
        self._position[stream] = int(seq)
        new = self.account.take(
            frame.id, keyed=bool(frame.key), publisher=numbered.p, number=numbered.n, connection=self.connections
        )
        if self.last_heard:
            self.longest_silence = max(self.longest_silence, now - self.last_heard)
        self.last_heard = now
        if self.losses and "first" not in self.losses[-1]:
            self.losses[-1]["first"] = now
        if new:
            self._worker.delivered(now, now - numbered.t)

    def lost(self, code: int | None) -> None:
        """The connection ended with a close code, or without one."""
        was, self.subscribed, self._wire = self.subscribed, False, None
        if self._ended:
            return
        if was:
            self.losses.append({"lost": self._loop.time(), "code": code, "client": self.name})
        self._again(code)

    def _again(self, code: int | None) -> None:
        """Reconnect as the close code says; at once still means not all in the same moment."""
        if code is not None and 4200 <= code < 4300 and not self._failures:
            wait = random.uniform(0.0, 0.1)
        else:
            wait = random.uniform(0.0, min(MOST, FIRST * 2.0 ** min(self._failures, 10)))
            wait += 1.0 if code is not None and 4100 <= code < 4200 else 0.0
        self._failures += 1
        self._loop.call_later(wait, self.connect)


class Wire(asyncio.Protocol):
    """A WebSocket as a client speaks it, as far as a node needs it."""

    def __init__(self, listener: Listener, key: str) -> None:
        self.transport: asyncio.Transport | None = None
        self._listener = listener
        self._key = key
        self._buffer = bytearray()
        self._open = False
        self._code: int | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._moved = self._asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's do not inherit
        self._listener.begun(self)
        nonce = base64.b64encode(os.urandom(16)).decode()
        head = f"GET /app/{self._key}?protocol=7&client=failover HTTP/1.1\r\nHost: failover\r\nUpgrade: websocket\r\n"
        rest = f"Connection: Upgrade\r\nSec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        self.transport.write((head + rest).encode())
        self._watch = asyncio.get_running_loop().call_later(PATIENCE, self._hurry)

    def send(self, text: bytes) -> None:
        """Send a text frame; a mask of zeros is a mask."""
        self._send(0x81, text)

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        self._moved, self._asked = True, False
        buffer = self._buffer
        buffer += data
        if not self._open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not buffer.startswith(b"HTTP/1.1 101"):
                self._listener._worker.errors[buffer[:12].decode(errors="replace")] += 1
                self._close()
                return
            self._open = True
            del buffer[: end + 4]
        at, size = 0, len(buffer)
        while size - at >= 2:
            length, head = buffer[at + 1], 2
            if length == 126:
                head = 4
                length = int.from_bytes(buffer[at + 2 : at + 4]) if size - at >= 4 else size
            elif length == 127:
                head = 10
                length = int.from_bytes(buffer[at + 2 : at + 10]) if size - at >= 10 else size
            if size - at < head + length:
                break
            kind = buffer[at]
            payload = bytes(buffer[at + head : at + head + length])
            at += head + length
            if kind == 0x81:
                self._listener.heard(payload)
            elif kind == 0x89:
                self._send(0x8A, payload)
            elif kind == 0x88:
                self._code = int.from_bytes(payload[:2]) if payload else 1005
                self._send(0x88, payload[:2])
                self._close()
                return
        del buffer[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        if self._watch is not None:
            self._watch.cancel()
        self._listener.lost(self._code)

    def _send(self, kind: int, payload: bytes) -> None:
        assert self.transport is not None
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
        self.transport.write(bytes([kind]) + length + b"\0\0\0\0" + payload)

    def _close(self) -> None:
        assert self.transport is not None
        self.transport.close()

    def _hurry(self) -> None:
        """Look after a silent connection: one not subscribed yet has no time left, another one is asked, then left."""
        assert self.transport is not None
        if not self._listener.subscribed or self._asked:
            self.transport.abort()
            return
        if not self._moved:
            self._asked = True
            self.send(b'{"event":"pusher:ping","data":{}}')
        self._moved = False
        self._watch = asyncio.get_running_loop().call_later(SILENCE, self._hurry)

"""A WebSocket client that can break the rules: it writes bytes and reads frames."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, mask: bool = True, bits: int = 0) -> bytes:
    """A frame as a client sends it, or as it must not."""
    size = len(data)
    head = bytes([(0x80 if fin else 0) | bits | opcode])
    flag = 0x80 if mask else 0
    if size < 126:
        head += bytes([flag | size])
    elif size < 65_536:
        head += bytes([flag | 126]) + struct.pack("!H", size)
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", size)
    if not mask:
        return head + data
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


class Raw:
    """An open connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *frames: bytes) -> None:
        """Write frames, all at once."""
        self.writer.write(b"".join(frames))

    def say(self, event: str, data: object = None) -> None:
        """Send an event of the protocol."""
        self.send(frame(TEXT, json.dumps({"event": event, "data": data}).encode()))

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. Raises IncompleteReadError at the end."""
        async with asyncio.timeout(5):
            first, size = await self.reader.readexactly(2)
            assert first & 0x80 and not size & 0x80, "a server sends whole, unmasked frames here"
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(size)

    async def hear(self) -> Any:
        """The next message, which must be text."""
        opcode, data = await self.frame()
        assert opcode == TEXT, (opcode, data)
        return json.loads(data)

    async def closed(self) -> tuple[int, str]:
        """The close frame that comes next, and then the end of the connection."""
        opcode, data = await self.frame()
        assert opcode == CLOSE, (opcode, data)
        async with asyncio.timeout(5):
            assert await self.reader.read(1) == b""
        return struct.unpack("!H", data[:2])[0], data[2:].decode()


@asynccontextmanager
async def raw_client(
    port: int, path: str = "/app/key?protocol=7", *, early: bytes = b"", more: str = "", established: bool = True
) -> AsyncIterator[Raw]:
    """Connect; `early` is sent together with the handshake, `more` are further header lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(HANDSHAKE.format(path=path, more=more).encode() + early)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        client = Raw(reader, writer)
        if established:
            assert (await client.hear())["event"] == "pusher:connection_established"
        yield client
    finally:
        writer.close()

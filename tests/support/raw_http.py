"""HTTP requests byte by byte: what no client library would send."""

from __future__ import annotations

import asyncio


async def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """Send a request as it is to a port of loopback; status and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((line for line in head.lower().splitlines() if line.startswith(b"content-length:")), b":0")
            return int(head.split()[1]), await reader.readexactly(int(length.split(b":")[1]))
    finally:
        writer.close()

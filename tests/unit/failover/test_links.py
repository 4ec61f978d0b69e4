"""The links of tests/failover do to bytes what their rules say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from tests.failover.links import Links, Rule
from tests.support.waiting import until

SILENT = Rule(silent=True)


class Echo(asyncio.Protocol):
    """Says what it hears."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Say it."""
        self.transport.write(data)


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Links, int]]:
    """Links from `here` to an echo named `there`."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    links = Links(Random(1), names={"127.0.0.1": "here"})
    port = await links.serve("127.0.0.1", "there", ("127.0.0.1", server.sockets[0].getsockname()[1]))
    try:
        yield links, port
    finally:
        await links.close()
        server.close()


async def said(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        return await reader.read(1000)


async def test_a_whole_link_passes_both_ways() -> None:
    """What is sent arrives, and so does the answer."""
    async with linked() as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        assert await said(reader) == b"hello"
        writer.close()


@pytest.mark.parametrize("way", [("here", "there"), ("there", "here")])
async def test_a_silent_direction_holds_back_until_it_is_healed(way: tuple[str, str]) -> None:
    """Nothing passes in the silent direction, and everything in order once it is whole."""
    async with linked() as (links, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        links.set([way], SILENT)
        writer.write(b"one")
        await until(lambda: links.figures["held back"] == 1)
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.read(1)
        links.heal()
        got = b""
        while len(got) < 6:
            got += await said(reader)
        assert got == b"onetwo"
        writer.close()


async def test_a_broken_connection_stays_dead_and_new_ones_work() -> None:
    """Half-open: neither end is told, and healing does not bring it back."""
    async with linked() as (links, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        assert await said(reader) == b"hello"
        assert links.break_open("there", "here") == 2
        writer.write(b"lost")
        links.heal()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.read(1)
        other, second = await asyncio.open_connection("127.0.0.1", port)
        second.write(b"new")
        assert await said(other) == b"new"
        writer.close()
        second.close()


async def test_a_delayed_link_keeps_the_order() -> None:
    """Pieces that are delayed by different times arrive in the order of their sending."""
    async with linked() as (links, port):
        links.set([("here", "there")], Rule(delay=0.01, jitter=0.05))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(10):
            writer.write(b"%d" % number)
            await writer.drain()
            await asyncio.sleep(0)
        got = b""
        while len(got) < 10:
            got += await said(reader)
        assert got == b"0123456789"
        assert links.figures["delayed"]
        writer.close()


async def test_a_link_that_resets_ends_both_ends() -> None:
    """A reset reaches who sent, as a connection that broke off."""
    async with linked() as (links, port):
        links.set([("here", "there")], Rule(reset_chance=1.0))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        with contextlib.suppress(ConnectionError):
            assert await said(reader) == b""
        assert links.figures["resets"] == 1
        writer.close()

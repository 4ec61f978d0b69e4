"""What clients may and may not put on the wire, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import json

import pytest
from sanic import Request
from sanic.server.protocols.http_protocol import HttpProtocol

from tests.unit.wsnode_clients.raw import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame, raw_client
from tests.unit.wsnode_clients.serving import serve, until

SUBSCRIBE = json.dumps({"event": "pusher:subscribe", "data": {"channel": "news"}}).encode()
SUCCEEDED = {"event": "pusher_internal:subscription_succeeded", "channel": "news", "data": "{}"}


@pytest.mark.parametrize(
    ("frames", "code", "reason"),
    [
        ([frame(BINARY, b"x")], 1003, "Send text frames; binary frames are not understood"),
        ([frame(BINARY, b"x", fin=False)], 1003, "Send text frames; binary frames are not understood"),
        ([frame(TEXT, b'"\xff"')], 1007, "The message is not valid UTF-8"),
        ([frame(TEXT, b'"\xc3', fin=False), frame(CONT, b'"')], 1007, "The message is not valid UTF-8"),
        ([frame(TEXT, b"x" * 1025)], 1009, "frame with 1025 bytes exceeds limit of 1024 bytes"),
        (
            [frame(TEXT, b"x" * 600, fin=False), frame(CONT, b"x" * 600)],
            1009,
            "frame with 600 bytes after reading 600 bytes exceeds limit of 1024 bytes",
        ),
        ([frame(PING, b"x" * 126)], 1002, "control frame too long"),
        ([frame(PING, b"x", fin=False)], 1002, "fragmented control frame"),
        ([frame(CLOSE, b"x")], 1002, "close frame too short"),
        ([frame(CLOSE, b"\x03\xed")], 1002, "invalid status code"),
        ([frame(TEXT, b"{}", mask=False)], 1002, "incorrect masking"),
        ([frame(TEXT, b"{}", bits=0x40)], 1002, "reserved bits must be 0"),
        ([frame(3, b"")], 1002, "invalid opcode"),
        ([frame(CONT, b"{}")], 1002, "unexpected continuation frame"),
        ([frame(TEXT, b"{", fin=False), frame(TEXT, b"}")], 1002, "expected a continuation frame"),
    ],
)
async def test_a_frame_against_the_rules_ends_the_connection(frames: list[bytes], code: int, reason: str) -> None:
    """Every breach of RFC 6455 is answered with the close code that it names, and the end of the connection."""
    async with serve(max_frame_bytes=1024) as node, raw_client(node.port) as client:
        client.send(*frames)
        assert await client.closed() == (code, reason)
        assert node.clients.sessions == 0


async def test_nothing_after_a_breach_counts() -> None:
    """What a client sends after a frame against the rules changes nothing."""
    async with serve() as node, raw_client(node.port) as client:
        client.send(frame(BINARY, b"x"), frame(TEXT, SUBSCRIBE))
        assert (await client.closed())[0] == 1003
        assert node.clients.hub.subscriptions == 0


async def test_fragments_are_put_together() -> None:
    """A message may come in fragments, with a ping between them and a character cut in two."""
    text = json.dumps({"event": "é"}, ensure_ascii=False).encode()
    cut = text.index(b"\xc3") + 1
    async with serve() as node, raw_client(node.port) as client:
        client.send(frame(TEXT, text[:cut], fin=False), frame(PING, b"now"), frame(CONT, text[cut:]))
        answers = [await client.frame(), await client.frame()]
        assert (PONG, b"now") in answers
        assert (
            TEXT,
            b'{"event":"pusher:error","data":{"code":null,"message":"Unknown event \'\xc3\xa9\'"}}',
        ) in answers


async def test_bytes_that_come_one_by_one_are_understood() -> None:
    """It does not matter how TCP cuts what a client sends."""
    async with serve() as node, raw_client(node.port) as client:
        for byte in frame(TEXT, SUBSCRIBE):
            client.send(bytes([byte]))
            await client.writer.drain()
        assert await client.hear() == SUCCEEDED


async def test_bytes_sent_with_the_handshake_are_not_lost() -> None:
    """A client that does not wait for the answer to its handshake is heard nevertheless."""
    async with serve() as node, raw_client(node.port, early=frame(TEXT, SUBSCRIBE)) as client:
        assert await client.hear() == SUCCEEDED


async def test_several_messages_in_one_packet_are_answered_in_order() -> None:
    """Messages that arrive together are taken one after the other."""
    async with serve() as node, raw_client(node.port) as client:
        client.send(frame(TEXT, SUBSCRIBE), frame(TEXT, b'{"event":"pusher:ping"}'))
        assert await client.hear() == SUCCEEDED
        assert await client.hear() == {"event": "pusher:pong", "data": "{}"}


async def test_a_close_is_answered_with_the_same_code() -> None:
    """A client that closes gets its close frame back, then the end, and its subscriptions are gone."""
    async with serve() as node, raw_client(node.port) as client:
        client.send(frame(TEXT, SUBSCRIBE))
        await client.hear()
        client.send(frame(CLOSE, b"\x03\xe8bye"))
        assert await client.closed() == (1000, "bye")
        assert (node.clients.sessions, node.clients.hub.subscriptions, node.clients.closed) == (0, 0, {1000: 1})


async def test_a_connection_that_breaks_off_is_forgotten() -> None:
    """A client that vanishes without a close frame is counted as 1006, and leaves nothing behind."""
    async with serve() as node:
        async with raw_client(node.port) as client:
            client.send(frame(TEXT, SUBSCRIBE))
            await client.hear()
            client.writer.transport.abort()
        await until(lambda: not node.clients.connections)
        assert (node.clients.sessions, node.clients.hub.subscriptions, node.clients.closed) == (0, 0, {1006: 1})
        assert node.clients.hub.connections_by_app() == {}


async def test_a_connection_keeps_nothing_of_the_http_server() -> None:
    """After the handshake no task, request or protocol of Sanic is alive for a client."""
    async with serve() as node:
        before = len(asyncio.all_tasks())
        async with raw_client(node.port), raw_client(node.port):
            await until(lambda: len(asyncio.all_tasks()) == before)
            gc.collect()
            assert [kept for kept in gc.get_objects() if isinstance(kept, Request | HttpProtocol)] == []
            assert len(node.clients.connections) == 2


@pytest.mark.parametrize("size", [1, 125, 126, 200, 65_000, 65_536, 100_000])
async def test_events_of_every_size_arrive(size: int) -> None:
    """All three forms of a frame's length are right."""
    async with serve() as node, raw_client(node.port) as client:
        client.send(frame(TEXT, SUBSCRIBE))
        await client.hear()
        identity = node.event("news", "x" * size)
        expected = {"event": "news", "channel": "news", "data": "x" * size, "id": identity}
        assert await client.hear() == expected


async def test_what_a_client_that_left_would_get_is_dropped() -> None:
    """Events published while a connection is closing harm nobody."""
    async with serve() as node, raw_client(node.port) as client, raw_client(node.port) as other:
        for each in (client, other):
            each.send(frame(TEXT, SUBSCRIBE))
            await each.hear()
        client.send(frame(BINARY, b""))
        assert await client.frame() == (CLOSE, b"\x03\xebSend text frames; binary frames are not understood")
        node.event("news", "after")
        assert (await other.hear())["data"] == "after"

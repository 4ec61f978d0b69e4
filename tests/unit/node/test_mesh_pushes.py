"""`POST /mesh/v1/messages`: pushes with holes, repeated, out of order and of wrong streams, with the exact answers."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from tests.support.mesh_ends import End, error, mesh_end, plain
from tests.support.mesh_network import event
from wsnode.domain.log import encoded
from wsnode.domain.messages import Message
from wsnode.domain.wire import Hello, Push, PushAnswer, Snapshot

STREAM = "b~1"
"""The run of the peer b that pushes; nobody is at its address."""


def raws(*seqs: int) -> list[Raw]:
    return [Raw(encoded(Message(seq, event("x")))) for seq in seqs]


async def meet(end: End, stream: str = STREAM) -> None:
    """Let b say hello, as a run that has published nothing."""
    status, _ = await end.told(Hello("b", stream, "here", "http://127.0.0.1:1", 0, {}, Snapshot()))
    assert status == 200


async def push(end: End, after: int, messages: list[Raw], stream: str = STREAM) -> tuple[int, Any]:
    return await end.told(Push(stream, 1, after, messages, {}, {}))


def taken(end: End, seq: int) -> tuple[int, Any]:
    """The answer that acknowledges all of the stream up to a number."""
    own = end.service.mesh.stream
    return 200, plain(PushAnswer(own, {STREAM: seq, own: 0}))


def delivered(*seqs: int) -> list[tuple[str, int]]:
    return [(STREAM, seq) for seq in seqs]


async def test_what_follows_a_hole_is_acknowledged_when_the_hole_is_filled() -> None:
    """The position stays before the hole, nothing after it is delivered, and what fills it brings all in order."""
    async with mesh_end("a") as a:
        await meet(a)
        assert await push(a, 0, raws(1, 2)) == taken(a, 2)
        assert await push(a, 3, raws(4, 5)) == taken(a, 2)
        assert a.delivered == delivered(1, 2)
        assert await push(a, 2, raws(3)) == taken(a, 5)
        assert a.delivered == delivered(1, 2, 3, 4, 5)
        assert a.service.mesh.streams.duplicates == 0


async def test_repeated_pushes_are_acknowledged_again() -> None:
    """What has arrived, or waits behind a hole, is counted as a duplicate, and the position is as before."""
    async with mesh_end("a") as a:
        await meet(a)
        await push(a, 0, raws(1, 2))
        await push(a, 3, raws(4))
        for duplicates in (3, 6):
            assert await push(a, 0, raws(1, 2)) == taken(a, 2)
            assert await push(a, 3, raws(4)) == taken(a, 2)
            assert a.service.mesh.streams.duplicates == duplicates
        assert await push(a, 0, raws(1, 2, 3)) == taken(a, 4)
        assert a.delivered == delivered(1, 2, 3, 4)
        assert a.service.mesh.streams.duplicates == 8


async def test_pushes_out_of_order_are_delivered_in_order() -> None:
    """Of pushes that overtook each other each is taken, and acknowledged as far as there is no hole."""
    async with mesh_end("a") as a:
        await meet(a)
        for after, seqs, position in ((4, (5, 6), 0), (2, (3, 4), 0), (0, (1, 2), 6)):
            assert await push(a, after, raws(*seqs)) == taken(a, position)
        assert a.delivered == delivered(1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize(
    ("after", "messages", "text"),
    [
        (1, raws(2, 4), "message 4 stands where 3 was expected"),
        (1, raws(3, 2), "message 3 stands where 2 was expected"),
        (1, raws(2, 2), "message 2 stands where 3 was expected"),
        (0, raws(2), "message 2 stands where 1 was expected"),
        (-1, raws(0, 1), "after is -1, expected 0 or more"),
        (-1, [], "after is -1, expected 0 or more"),
        (1, [*raws(2), Raw(b"\x07")], "message 3: Expected `array`, got `int`"),
        (
            1,
            [Raw(b"\x93\x02\x81\xa4type\xa1\xff\x00")],
            "message 2: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (1, [Raw(b"\x91" * 90_000 + b"\x00")], "it is nested too deeply"),
    ],
    ids=range(9),
)
async def test_a_malformed_push_is_refused_whole(after: int, messages: list[Raw], text: str) -> None:
    """Numbers that do not follow each other, or what is no message, get 400 that says so, and nothing is taken."""
    async with mesh_end("a") as a:
        await meet(a)
        await push(a, 0, raws(1))
        assert await push(a, after, messages) == (400, error("malformed", text))
        assert await push(a, 1, []) == taken(a, 1)
        assert a.delivered == delivered(1)


async def test_a_push_of_a_stream_that_is_not_a_peers_present_one_is_refused() -> None:
    """This node's own stream, an unknown node's, a former run's and what is no stream get 409, and nothing is taken."""
    async with mesh_end("a") as a:
        await meet(a, "b~0")
        await meet(a)
        for stream in (a.service.mesh.stream, "a~0", "z~1", "b~0", "b~2", "b", "", "~1"):
            assert await push(a, 0, raws(1), stream) == (
                409,
                error("hello_first", f"this run does not know the stream {stream}; say hello first"),
            )
        own = a.service.mesh.stream
        assert await push(a, 0, []) == (200, plain(PushAnswer(own, {"b~0": 0, STREAM: 0, own: 0})))
        assert a.delivered == []

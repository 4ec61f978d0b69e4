"""`GET /mesh/v1/streams/{stream}?after=`: what is held, up to a batch, and the exact answers to wrong bounds."""

from __future__ import annotations

import pytest
from msgspec import Raw

from tests.support.mesh_ends import End, error, mesh_end, plain
from tests.support.mesh_network import event
from wsnode.domain.log import encoded
from wsnode.domain.messages import Message
from wsnode.domain.wire import Hello, Pulled, Push, Snapshot

SIZE = len(encoded(Message(1, event("x"), 2**40)))
"""Bytes of one message of `publish`."""
FURTHEST = 10**18 - 1
"""The largest `after` that is taken."""


def publish(end: End, number: int) -> list[Raw]:
    """Put so many messages on the node's own stream; returns them as they travel."""
    for _ in range(number):
        end.service.announce(event("x"))
    return [Raw(entry.raw) for entry in end.service.mesh.log.after(0, number * SIZE)]


async def pull(end: End, stream: str, after: object) -> tuple[int, object]:
    return await end.ask("GET", f"streams/{stream}?after={after}")


async def test_a_pull_of_more_than_a_batch_gets_the_first_batch() -> None:
    """The messages that follow `after` come as far as a batch holds them, and the answer says how many there are."""
    async with mesh_end("a", batch_bytes=4 * SIZE - 1) as a:
        stream, raws = a.service.mesh.stream, publish(a, 10)
        for after, expected in ((0, raws[:3]), (3, raws[3:6]), (8, raws[8:])):
            assert await pull(a, stream, after) == (200, plain(Pulled(stream, 1, 10, after, expected)))


@pytest.mark.parametrize("after", [10, 11, 2**32, FURTHEST])
async def test_a_pull_beyond_the_end_gets_nothing(after: int) -> None:
    """However far it asks, the answer has no messages and says what is held."""
    async with mesh_end("a") as a:
        stream = a.service.mesh.stream
        publish(a, 10)
        assert await pull(a, stream, after) == (200, plain(Pulled(stream, 1, 10, after, [])))


async def test_a_pull_from_before_what_is_held_gets_what_there_is() -> None:
    """Of a stream that is not held from its start the answer says from where, and has no message before."""
    raw = Raw(encoded(Message(6, event("x"))))
    async with mesh_end("a") as a:
        await a.told(Hello("b", "b~1", "here", "http://127.0.0.1:1", 5, {}, Snapshot()))
        assert await pull(a, "b~1", 0) == (200, plain(Pulled("b~1", 1, 0, 0, [])))
        await a.told(Push("b~1", 6, 5, [raw], {}, {}))
        assert await pull(a, "b~1", 0) == (200, plain(Pulled("b~1", 6, 6, 5, [raw])))


@pytest.mark.parametrize(
    "query",
    ["", "?after", "?after=", "?before=1"]
    + [f"?after={after}" for after in ("-1", "%2B1", "x", "1.0", "1e3", "0x1", "1_0", "%C2%B2", "%D9%A1", "%FF", "%00")]
    + [f"?after={after}" for after in (FURTHEST + 1, 2**63, 2**64, "9" * 5_000)],
    ids=range(19),
)
async def test_a_pull_with_wrong_bounds_is_refused(query: str) -> None:
    """An `after` that is missing, no number of ASCII digits, or beyond every number that a stream can have gets 400."""
    async with mesh_end("a") as a:
        publish(a, 3)
        assert await a.ask("GET", f"streams/{a.service.mesh.stream}{query}") == (
            400,
            error("malformed", "after must be a sequence number, 0 or more"),
        )


@pytest.mark.parametrize(
    ("stream", "shown"),
    [("z~1", "z~1"), ("z", "z"), ("a~0", "a~0"), ("z%2F1", "z/1"), ("%22", '"'), ("%FF", "\ufffd"), ("%00", "\0")],
    ids=range(7),
)
async def test_a_pull_of_a_stream_of_which_nothing_is_held_is_refused(stream: str, shown: str) -> None:
    """A stream that no node here has spoken of, or text that is none, gets 404 that names it."""
    async with mesh_end("a") as a:
        publish(a, 3)
        assert await pull(a, stream, 0) == (
            404,
            error("unknown_stream", f"nothing is held here of the stream {shown}"),
        )

"""What the mesh port refuses of any request, with the exact answers: strangers, other versions, wrong bodies."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.support.mesh_ends import MAX_BODY, error, mesh_end
from wsnode.adapters.mesh_client import VERSION_HEADER
from wsnode.domain.wire import Goodbye, Hello, Push, Snapshot


async def test_a_wrong_cluster_key_is_refused() -> None:
    """A request with another cluster key, or none, gets 401 and changes nothing."""
    hello = msgspec.msgpack.encode(Hello("x", "x~1", "here", "http://127.0.0.1:1", 0, {}, Snapshot()))
    answer = error("cluster_key", "the cluster key is missing or not that of this cluster; see CLUSTER_KEY")
    async with mesh_end("a") as a:
        assert await a.ask("POST", "hello", hello, Authorization="Bearer " + "x" * 24) == (401, answer)
        assert await a.ask("POST", "hello", hello, Authorization="") == (401, answer)
        assert a.service.mesh.peers == {}


async def test_another_protocol_version_is_refused() -> None:
    """A request of a version that this node does not speak gets 400 with the versions that it does."""
    async with mesh_end("a") as a:
        for version, shown in (("99", "99"), ("", "missing"), ("x", "x"), ("9" * 5_000, "9" * 5_000), ("²", "²")):
            assert await a.ask("POST", "messages", b"", **{VERSION_HEADER: version}) == (
                400,
                error("protocol_version", f"X-Wsmesh-Protocol is {shown}, this node speaks 1"),
            )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "Input data was truncated"),
        (b"\xc1", r"MessagePack data is malformed: invalid opcode '\xc1' (byte 0)"),
        (msgspec.msgpack.encode(Goodbye("z~1")), "Object missing required field `oldest`"),
        (b"\x81\xa6stream\xa2\xff\xfe", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"\x81\xa4more" + b"\x91" * 90_000, "it is nested too deeply"),
        (msgspec.msgpack.encode(7), "Expected `object`, got `int`"),
        (msgspec.msgpack.encode({}), "Object missing required field `stream`"),
        (msgspec.msgpack.encode({"stream": 3}), "Expected `str`, got `int` - at `$.stream`"),
        (msgspec.msgpack.encode({"stream": "z~1", "oldest": "1"}), "Expected `int`, got `str` - at `$.oldest`"),
        (
            msgspec.msgpack.encode(Push("z~1", 1, 0, [], {}, {})) + b"\x00",
            "MessagePack data is malformed: trailing characters (byte 68)",
        ),
        (msgspec.msgpack.encode({"messages": {}}), "Expected `array`, got `object` - at `$.messages`"),
    ],
    ids=range(11),
)
async def test_a_body_that_is_no_message_is_refused(body: bytes, text: str) -> None:
    """Bytes that are not MessagePack, or of another shape, get 400 and the reason."""
    async with mesh_end("a") as a:
        assert await a.ask("POST", "messages", body) == (400, error("malformed", text))


async def test_a_push_that_is_too_large_is_refused() -> None:
    """A body beyond the limit gets 413, whether it says its length before or not; one of the limit's size is read."""

    async def in_parts() -> AsyncIterator[bytes]:
        for _ in range(2):
            yield b"x" * (MAX_BODY // 2 + 1)

    async with mesh_end("a") as a:
        too_large = (413, error("too_large", "Request body exceeds the size limit"))
        assert await a.ask("POST", "messages", b"x" * (MAX_BODY + 1)) == too_large
        assert await a.ask("POST", "messages", in_parts()) == too_large
        assert await a.ask("POST", "messages", b"x" * MAX_BODY) == (
            400,
            error("malformed", "Expected `object`, got `int`"),
        )

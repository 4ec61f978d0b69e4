"""Headers may hold any bytes: none of them is an error of the server."""

from __future__ import annotations

import msgspec
import pytest

from tests.support.mesh_ends import CLUSTER_KEY, mesh_end
from tests.support.raw_http import ask
from tests.unit.wsnode_clients.serving import serve
from wsmesh.contract import App, ErrorAnswer
from wsnode.adapters.mesh_client import VERSION_HEADER
from wsnode.domain.authorisation import Request, authorise
from wsnode.domain.refused import Refused

HANDSHAKE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.mark.parametrize("header", [b"Cookie: name=\xff", "X-User: José".encode(), b"Sec-WebSocket-Protocol: chat"])
async def test_a_client_is_let_in_whatever_its_other_headers_hold(header: bytes) -> None:
    """A header that is no UTF-8, as a cookie of another program may be, does not stop a handshake."""
    async with serve() as node:
        status, _ = await ask(
            node.port, b"GET /app/key?protocol=7 HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n" + HANDSHAKE + b"\r\n"
        )
        assert status == 101


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"X-Odd: a\x01b", "the header x-odd holds control characters"),
        (b"Sec-WebSocket-Protocol: \xff", "invalid Sec-WebSocket-Protocol header"),
        (b"Sec-WebSocket-Key: \xff", "invalid Sec-WebSocket-Key header"),
    ],
)
async def test_a_handshake_with_broken_headers_is_refused(header: bytes, text: str) -> None:
    """What is wrong with the handshake is the client's error, and said."""
    async with serve() as node:
        status, body = await ask(
            node.port, b"GET /app/key?protocol=7 HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n" + HANDSHAKE + b"\r\n"
        )
        error = msgspec.json.decode(body, type=ErrorAnswer).error
        assert (status, error.code) == (400, "websocket_handshake")
        assert text in error.message


def test_a_publish_key_of_any_bytes_is_refused() -> None:
    """A bearer key that is no text is a wrong key."""
    with pytest.raises(Refused) as caught:
        authorise(App(id="1", key="k", secret="s"), Request("POST", "/", {}, b"", "Bearer \udcff"), 0.0)
    assert (caught.value.status, caught.value.code) == (401, "bad_publish_key")


async def test_a_mesh_version_of_any_bytes_is_refused() -> None:
    """A protocol version that is no text is refused, and shown escaped."""
    async with mesh_end("a") as a:
        request = (
            f"POST /mesh/v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {CLUSTER_KEY}\r\n"
            f"Content-Length: 0\r\n{VERSION_HEADER}: "
        ).encode() + b"\xff\r\n\r\n"
        status, body = await ask(int(a.address.rpartition(":")[2]), request)
        error = msgspec.json.decode(body, type=ErrorAnswer).error
        assert (status, error.code) == (400, "protocol_version")
        assert error.message == f"{VERSION_HEADER} is \\udcff, this node speaks 1"

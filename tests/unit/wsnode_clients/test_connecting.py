"""Who is let in, and what the others hear, over real sockets."""

from __future__ import annotations

import json

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.unit.wsnode_clients.raw import raw_client
from tests.unit.wsnode_clients.serving import APP, serve, until
from wsmesh.contract import App, AppLimits

APPS = (
    APP,
    App(id="off", key="off", secret="s", enabled=False),
    App(id="web", key="web", secret="s", allowed_origins=["https://example.com", "https://*.example.org"]),
    App(id="one", key="one", secret="s", limits=AppLimits(max_connections=1)),
)


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        ("/app/nobody?protocol=7", 4001, "There is no app with this key"),
        ("/app/off?protocol=7", 4003, "The app is disabled"),
        ("/other?protocol=7", 4005, "There is nothing at this path; connect to /app/{key}"),
        ("/app?protocol=7", 4005, "There is nothing at this path; connect to /app/{key}"),
        ("/?protocol=7", 4005, "There is nothing at this path; connect to /app/{key}"),
        ("/app/key?protocol=seven", 4006, "The protocol version must be a whole number; connect with protocol=7"),
        ("/app/key?protocol=7.0", 4006, "The protocol version must be a whole number; connect with protocol=7"),
        ("/app/key?protocol=-7", 4006, "The protocol version must be a whole number; connect with protocol=7"),
        ("/app/key?protocol=4", 4007, "This protocol version is not supported; connect with protocol=7"),
        ("/app/key?protocol=8", 4007, "This protocol version is not supported; connect with protocol=7"),
        ("/app/key", 4008, "No protocol version was given; connect with protocol=7"),
        ("/app/key?protocol=", 4008, "No protocol version was given; connect with protocol=7"),
        ("/app/web?protocol=7", 4009, "The app does not allow connections from this origin"),
    ],
)
async def test_a_client_that_may_not_come_in_hears_why(path: str, code: int, reason: str) -> None:
    """The WebSocket opens, a `pusher:error` says what is wrong, and the close frame says it again."""
    async with serve(*APPS) as node, connect(node.url(path), origin="https://evil.example") as ws:  # type: ignore[arg-type]
        assert json.loads(await ws.recv()) == {"event": "pusher:error", "data": {"code": code, "message": reason}}
        with pytest.raises(ConnectionClosed) as closed:
            await ws.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)
        assert (node.clients.refused, node.clients.sessions, node.clients.opened) == ({code: 1}, 0, 0)


@pytest.mark.parametrize("path", ["/app/key?protocol=7", "/app/key?client=js&version=8.4.0&protocol=7&flash=false"])
async def test_the_first_message_tells_the_socket_id_and_the_activity_timeout(path: str) -> None:
    """`pusher:connection_established` is what Pusher's libraries wait for."""
    async with serve(activity_timeout=45) as node, raw_client(node.port, path, established=False) as client:
        first = await client.hear()
        data = json.loads(first.pop("data"))
        assert first == {"event": "pusher:connection_established"}
        whole, _, part = data.pop("socket_id").partition(".")
        assert whole.isdigit()
        assert part.isdigit()
        assert data == {"activity_timeout": 45}


@pytest.mark.parametrize("protocol", [5, 6, 7])
async def test_older_protocols_that_clients_still_name_are_served(protocol: int) -> None:
    """Pusher's Java and .NET libraries say 5, pysher says 6."""
    async with serve() as node, node.client(f"/app/key?protocol={protocol}") as client:
        await client.subscribe("news")


@pytest.mark.parametrize("origin", ["https://example.com", "https://shop.example.org", None])
async def test_allowed_origins_come_in_and_so_does_who_is_no_browser(origin: str | None) -> None:
    """The list of origins keeps out other people's pages, not programs."""
    async with serve(*APPS) as node, node.client("/app/web?protocol=7", origin=origin):
        assert node.clients.sessions == 1


async def test_an_app_with_all_its_connections_takes_no_more() -> None:
    """The limit of an app counts the other nodes' connections as well, and a place that gets free is given away."""
    async with serve(*APPS) as node:
        async with (
            node.client("/app/one?protocol=7"),
            raw_client(node.port, "/app/one?protocol=7", established=False) as c,
        ):
            text = "The app has reached its limit of connections"
            assert (await c.hear())["data"] == {"code": 4004, "message": text}
            assert await c.frame() == (8, (4004).to_bytes(2, "big") + text.encode())
        await until(lambda: not node.clients.sessions)
        node.clients.hub.set_remote_connections("n2", {"one": 1})
        async with raw_client(node.port, "/app/one?protocol=7", established=False) as client:
            assert (await client.hear())["data"]["code"] == 4004
        node.clients.forget_node("n2")
        async with node.client("/app/one?protocol=7"):
            assert node.clients.hub.connections_by_app() == {"one": 1}


async def test_a_full_node_sends_clients_away_for_a_moment() -> None:
    """Beyond MAX_CONNECTIONS clients get 4100, which makes them back off."""
    async with serve(max_connections=1) as node, node.client(), raw_client(node.port, established=False) as client:
        assert (await client.hear())["data"] == {
            "code": 4100,
            "message": "This node has reached its limit of connections; try again later",
        }


@pytest.mark.parametrize(
    ("ready", "draining", "message"),
    [
        (False, False, "This node has not joined its cluster yet; try again later"),
        (True, True, "This node is stopping and takes no more clients; try again"),
    ],
)
async def test_a_node_that_starts_or_stops_takes_nobody(ready: bool, draining: bool, message: str) -> None:
    """A client that comes too early or too late gets 4100."""
    async with serve() as node:
        node.clients.ready, node.clients.draining = ready, draining
        async with raw_client(node.port, established=False) as client:
            assert (await client.hear())["data"] == {"code": 4100, "message": message}


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({}, 426, "Failed to open a WebSocket connection: missing Connection header."),
        (
            {"Upgrade": "websocket", "Connection": "Upgrade"},
            400,
            "Failed to open a WebSocket connection: missing Sec-WebSocket-Key header.",
        ),
        (
            {
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version": "12",
            },
            400,
            "Failed to open a WebSocket connection: invalid Sec-WebSocket-Version header: 12.",
        ),
    ],
)
async def test_a_request_that_is_no_handshake_gets_an_http_error(
    headers: dict[str, str], status: int, message: str
) -> None:
    """Who comes without a proper WebSocket handshake hears it in the form of all HTTP errors."""
    async with serve() as node, aiohttp.ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{node.port}/app/key?protocol=7", headers=headers) as answer:
            assert answer.status == status
            assert await answer.json() == {"error": {"code": "websocket_handshake", "message": message, "field": None}}
        assert node.clients.connections == set()


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/a/b", 404), ("PUT", "/app/key", 405)]
)
async def test_other_paths_and_methods_are_http_errors(method: str, path: str, status: int) -> None:
    """The answer for WebSockets at unknown paths does not hide 404 and 405 from others."""
    async with (
        serve() as node,
        aiohttp.request(method, f"http://127.0.0.1:{node.port}{path}") as answer,
    ):
        assert answer.status == status
        assert set(await answer.json()) == {"error"}

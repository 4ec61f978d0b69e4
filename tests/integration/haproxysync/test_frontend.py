"""What the template lets through to the nodes, and what it says to clients."""

from __future__ import annotations

import asyncio
import re
import ssl
from http.cookies import SimpleCookie
from typing import Any

import pytest
import trustme
from aiohttp import ClientSession, TCPConnector
from yarl import URL

from tests.integration.haproxysync.cluster import COOKIE, Cluster, Node
from tests.support.ports import free_port

EVENTS = "/apps/key/events"


async def started(cluster: Cluster, **variables: Any) -> Cluster:
    """One node, HAProxy running with the template's variables."""
    cluster.write_base(**variables)
    await cluster.add(Node("n1", 1))
    assert (await cluster.sync()).code == 0
    await cluster.start_haproxy()
    return cluster


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/metrics",
        "/mesh/v1/messages",
        "/readyz",
        "/app",
        "/appetite",
        "/app/../metrics",
        "/app/%2e%2e/metrics",
        "/apps/x/..%2f..%2fmetrics",
        "/livez/",
        "//metrics",
    ],
)
async def test_other_paths_end_at_haproxy(cluster: Cluster, path: str) -> None:
    """Metrics, mesh, checks and anything unknown are a 404 of HAProxy's, however they are written."""
    async with cluster.http.get(URL(cluster.url + path, encoded=True)) as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["code"] == "not_found"


@pytest.mark.parametrize("path", ["/app/key", "/apps/1/events?auth_key=a", "/apps/1/channels/a..b", "/livez"])
async def test_clients_and_publishers_reach_the_nodes(cluster: Cluster, path: str) -> None:
    """Both interfaces and the liveness path go to a node."""
    async with cluster.http.post(cluster.url + path) as answer:
        assert (await answer.json())["node"] in ("n1", "n2")


async def test_client_cannot_say_who_it_is(cluster: Cluster) -> None:
    """Headers that name the client come from HAProxy alone."""
    forged = {
        "X-Forwarded-For": "9.9.9.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Real-IP": "9.9.9.9",
        "Forwarded": "for=9.9.9.9",
    }
    async with cluster.http.get(f"{cluster.url}/apps/1/channels", headers=forged) as answer:
        got = {name.lower(): value for name, value in (await answer.json())["headers"].items()}
    assert got["x-forwarded-for"] == "127.0.0.1"
    assert got["x-forwarded-proto"] == "http"
    assert not {"x-forwarded-host", "x-real-ip", "forwarded"} & got.keys()


async def test_client_stays_on_its_node(cluster: Cluster) -> None:
    """The cookie that a client gets, also with its WebSocket, brings it back; the node does not see it."""
    async with cluster.http.ws_connect(f"{cluster.url}/app/key") as socket:
        node = await socket.receive_str()
        cookie = SimpleCookie(socket._response.headers["Set-Cookie"])[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert {await cluster.asked(cookie.value) for _ in range(4)} == {node}


async def test_tls(empty: Cluster) -> None:
    """With a certificate: HTTP/2 is offered, old TLS is not, the cookie is secure, plain HTTP is redirected."""
    authority = trustme.CA()
    pem = empty.folder / "tls.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    plain = free_port()
    await started(empty, haproxy_tls_pem=str(pem), haproxy_http_bind=f"127.0.0.1:{plain}")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    url = f"https://127.0.0.1:{empty.port}"
    async with ClientSession(connector=TCPConnector(ssl=context)) as http:
        async with http.get(f"{url}/apps/1/channels") as answer:
            assert (await answer.json())["headers"]["X-Forwarded-Proto"] == "https"
            assert SimpleCookie(answer.headers["Set-Cookie"])[COOKIE]["secure"]
        async with http.ws_connect(f"{url}/app/key") as socket:
            assert await socket.receive_str() == "n1"
        async with http.get(f"http://127.0.0.1:{plain}/app/key", allow_redirects=False) as answer:
            assert answer.status == 308
            assert answer.headers["Location"].startswith("https://127.0.0.1")
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", empty.port, ssl=context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    writer.close()
    await writer.wait_closed()


async def test_rate_limit_of_handshakes(empty: Cluster) -> None:
    """With a limit, an address that opens too many WebSockets gets 429; publishes are counted apart."""
    await started(empty, haproxy_connects_limit=3, haproxy_publishes_limit=5)
    for _ in range(3):
        await empty.open()
    async with empty.http.get(f"{empty.url}/app/key") as answer:
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "10"
        assert (await answer.json())["error"]["code"] == "too_many_requests"
    for _ in range(5):
        assert await empty.asked() == "n1"
    async with empty.http.get(f"{empty.url}/apps/1/channels") as answer:
        assert answer.status == 429


async def test_rate_limit_of_event_streams(empty: Cluster) -> None:
    """Opening a stream counts as a WebSocket does, and not as a publish, though their paths are the same."""
    await started(empty, haproxy_connects_limit=3, haproxy_publishes_limit=2)
    for _ in range(3):
        assert await empty.asked(path=EVENTS) == "n1"
    async with empty.http.get(f"{empty.url}{EVENTS}") as answer:
        assert answer.status == 429
    for status in (200, 200, 429):
        async with empty.http.post(f"{empty.url}/apps/1/events") as answer:
            assert answer.status == status


async def test_a_stream_finds_no_node(empty: Cluster) -> None:
    """A browser is told to come back, which it does only after a success; anything else learns that there is none."""
    await started(empty)
    await empty.nodes[0].stop()
    await empty.await_server("nodes_own/slot01", "DOWN")
    async with empty.http.get(f"{empty.url}{EVENTS}") as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        found = re.fullmatch(r"retry: (\d+)\n\n", await answer.text())
        assert found is not None
        assert 1000 <= int(found[1]) <= 3000
    for method, path in (("POST", EVENTS), ("GET", "/apps/1/channels")):
        async with empty.http.request(method, f"{empty.url}{path}") as answer:
            assert answer.status == 503


async def test_a_node_that_dies_before_it_answers(empty: Cluster) -> None:
    """A WebSocket or stream is opened at another node instead; a publish is not tried again: it may have been taken."""
    asked = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if "/readyz" in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        else:
            asked.append(head.split()[0])
        writer.close()

    dying = Node("n2", 2)
    server = await asyncio.start_server(hang_up, "127.0.0.1", dying.port)
    empty.registry.nodes.append(dying)
    async with server:
        await started(empty)
        await empty.await_server("nodes_own/slot02", "UP")
        assert await empty.asked("slot02", EVENTS) == "n1"
        async with ClientSession(cookies={COOKIE: "slot02"}) as http:
            async with http.ws_connect(f"{empty.url}/app/key") as websocket:
                assert await websocket.receive_str() == "n1"
                await websocket.send_str("still here")
                assert await websocket.receive_str() == "n1:still here"
            async with http.post(f"{empty.url}/apps/1/events") as answer:
                assert answer.status == 502
        assert asked == ["GET", "GET", "POST"]


async def test_page_beside_the_nodes(empty: Cluster) -> None:
    """Another server can be shown under a path of its own."""
    page = Node("page", 9)
    await page.start()
    empty.nodes.append(page)
    await started(empty, haproxy_pages=[{"name": "site", "path": "/site/", "address": f"127.0.0.1:{page.port}"}])
    assert await empty.asked(path="/site/index.html") == "page"
    assert await empty.asked() == "n1"


async def test_metrics_of_haproxy(empty: Cluster) -> None:
    """The Prometheus exporter is a listener of its own and shows the slots."""
    port = free_port()
    await started(empty, haproxy_metrics_bind=f"127.0.0.1:{port}")
    async with empty.http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        assert 'haproxy_server_status{proxy="nodes_own",server="slot01"' in await answer.text()


async def test_nodes_over_tls(empty: Cluster) -> None:
    """With an authority of the nodes, HAProxy checks and reaches them over TLS and trusts no other certificate."""
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(empty.folder / "ca.pem"))
    for node, issuer in [(Node("n1", 1), authority), (Node("n2", 2), other)]:
        node.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        issuer.issue_cert("127.0.0.1").configure_cert(node.tls)
        await empty.add(node)
    empty.write_base(haproxy_nodes_ca=str(empty.folder / "ca.pem"))
    assert (await empty.sync()).code == 0
    await empty.start_haproxy()
    await empty.await_server("nodes_own/slot02", "DOWN")
    assert {await empty.asked("slot02") for _ in range(3)} == {"n1"}


async def test_killed_node_is_passed_over_at_once(cluster: Cluster) -> None:
    """A request for a node that has just died is served by another one, before any check has noticed."""
    await cluster.nodes[0].stop()
    assert await cluster.asked("slot01") == "n2"

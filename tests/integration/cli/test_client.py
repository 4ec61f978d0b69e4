"""The client over real sockets: subscribing, close codes, reconnects, TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
import trustme

from tests.integration.cli.pusher_server import Act, Conversation, pusher_server
from tests.support.ports import free_port
from wsmesh.client import (
    Authorization,
    Client,
    Connected,
    Event,
    Item,
    Lost,
    NotAuthorized,
    Reconnect,
    Refused,
    Stopped,
    Subscribed,
    Unreachable,
    signer,
)
from wsmesh.signature import channel_auth
from wsmesh.tls import client_context, server_context


def quick() -> Reconnect:
    """Short waits, but for the pause that 4100-4199 ask for."""
    return Reconnect(Random(1), base=0.01, cap=0.02, back_off=0.3)


async def until_event(client: Client) -> list[Item]:
    """Everything up to and with the first event."""
    found: list[Item] = []
    async with asyncio.timeout(10):
        async for item in client:
            found.append(item)
            if isinstance(item, Event):
                return found
    raise AssertionError("the client ended")


async def tell(client: Conversation) -> None:
    """Take a subscriber and tell it something."""
    await client.take()
    await client.say("headline", {"a": 1}, channel="news", id="n1~x:1")
    await client.socket.wait_closed()


def closing(code: int, reason: str = "") -> Act:
    """Take a subscriber and close it."""

    async def act(client: Conversation) -> None:
        await client.take()
        await client.close(code, reason)

    return act


async def test_events_arrive() -> None:
    """A subscriber is told that it is connected and subscribed, and then gets the event."""
    async with pusher_server(tell) as server, Client(server.url, "key") as client:
        await client.subscribe("news")
        assert await until_event(client) == [
            Connected("1.2"),
            Subscribed("news"),
            Event("news", "headline", '{"a": 1}', "n1~x:1"),
        ]


async def test_the_handshake_names_key_and_protocol() -> None:
    """The path is that of the Pusher protocol, version 7; the key is escaped."""
    paths = []

    async def act(client: Conversation) -> None:
        paths.append(client.path)
        await tell(client)

    async with pusher_server(act) as server, Client(f"{server.url}/", "a/b") as client:
        await client.subscribe("news")
        await until_event(client)
    assert paths[0].startswith("/app/a%2Fb?protocol=7&client=wsmesh&version=")


async def test_private_channels_are_joined_with_a_signature() -> None:
    """The server sees a signature that fits the socket id it gave."""
    seen = []

    async def act(client: Conversation) -> None:
        seen.extend(await client.take())
        await client.say("x", channel="private-a")
        await client.socket.wait_closed()

    async with pusher_server(act) as server, Client(server.url, "key", authorize=signer("key", "secret")) as client:
        await client.subscribe("private-a")
        await until_event(client)
    assert seen == [{"channel": "private-a", "position": {}, "auth": channel_auth("key", "secret", "1.2", "private-a")}]


@pytest.mark.parametrize("awaited", [False, True])
async def test_a_back_end_gives_the_proof(awaited: bool) -> None:
    """`authorize` may be a coroutine; what it refuses is an item, and other channels are joined."""
    seen = []

    async def act(client: Conversation) -> None:
        seen.extend(await client.take(2))
        await client.say("x", channel="news")
        await client.socket.wait_closed()

    def authorize(socket_id: str, channel: str) -> Authorization:
        if channel == "private-b":
            raise NotAuthorized("not yours")
        return Authorization(f"key:{socket_id}:{channel}", "{}")

    async def ask(socket_id: str, channel: str) -> Authorization:
        await asyncio.sleep(0)
        return authorize(socket_id, channel)

    prove = ask if awaited else authorize
    async with pusher_server(act) as server, Client(server.url, "key", authorize=prove) as client:
        await client.subscribe("presence-a", "private-b", "news")
        found = await until_event(client)
    assert Refused("private-b", "not yours") in found
    assert [(data.get("auth"), data.get("channel_data")) for data in seen] == [
        ("key:1.2:presence-a", "{}"),
        (None, None),
    ]


@pytest.mark.parametrize("code", [4200, 1006, 1001, 4100])
async def test_a_lost_connection_is_opened_again(code: int) -> None:
    """After a close that allows it the client comes back, joins its channels again, and goes on."""

    async def lose(client: Conversation) -> None:
        await client.take()
        if code == 1006:
            client.socket.transport.abort()
        else:
            await client.close(code, "moved")

    async with pusher_server(lose, tell) as server, Client(server.url, "key", reconnect=quick()) as client:
        await client.subscribe("news")
        found = await until_event(client)
    (lost,) = [item for item in found if isinstance(item, Lost)]
    assert lost.code == code
    assert found[-2] == Subscribed("news", False)
    pause = server.arrivals[1] - server.arrivals[0]
    assert pause >= lost.wait
    assert (lost.wait == 0) if code == 4200 else (lost.wait >= 0.3) if code == 4100 else (lost.wait <= 0.02)


@pytest.mark.parametrize("code", [4000, 4001, 4009])
async def test_a_close_for_good_ends_the_iteration(code: int) -> None:
    """After 4000 to 4099 the client does not come back, and says why."""
    async with pusher_server(closing(code, "no such app")) as server, Client(server.url, "key") as client:
        await client.subscribe("news")
        with pytest.raises(Stopped) as caught:
            await until_event(client)
    assert (caught.value.code, caught.value.reason) == (code, "no such app")
    assert len(server.arrivals) == 1


async def test_an_error_that_closes_is_as_good_as_a_close() -> None:
    """A server that sends the error and leaves the closing to the client is understood."""

    async def act(client: Conversation) -> None:
        await client.say("pusher:error", {"code": 4001, "message": "no such app"})
        await client.socket.wait_closed()

    async with pusher_server(act) as server, Client(server.url, "key") as client:
        with pytest.raises(Stopped, match="no such app"):
            await until_event(client)


async def test_pings_are_answered() -> None:
    """The server's ping gets a pong."""
    answers = []

    async def act(client: Conversation) -> None:
        await client.take()
        await client.say("pusher:ping", {})
        answers.append((await client.hear())["event"])
        await client.say("x", channel="news")
        await client.socket.wait_closed()

    async with pusher_server(act) as server, Client(server.url, "key") as client:
        await client.subscribe("news")
        await until_event(client)
    assert answers == ["pusher:pong"]


async def test_channels_are_joined_and_left_while_it_runs() -> None:
    """Subscribe and unsubscribe work from another task, during the iteration."""
    heard = []

    async def act(client: Conversation) -> None:
        await client.take(0)
        heard.extend([await client.hear(), await client.hear()])
        await client.say("x", channel="late")
        await client.socket.wait_closed()

    async with pusher_server(act) as server, Client(server.url, "key") as client:
        async for item in client:
            if isinstance(item, Connected):
                await client.subscribe("late", "late")
                await client.unsubscribe("late")
                await client.unsubscribe("never joined")
            if isinstance(item, Event):
                break
    assert [(frame["event"], frame["data"]) for frame in heard] == [
        ("pusher:subscribe", {"channel": "late", "position": {}}),
        ("pusher:unsubscribe", {"channel": "late"}),
    ]


async def test_nobody_there_is_told_and_tried_again() -> None:
    """A refused connection is an item with the reason, and not the end."""
    async with Client(f"http://127.0.0.1:{free_port()}", "key", reconnect=quick()) as client:
        items = aiter(client)
        for _ in range(3):
            lost = await anext(items)
            assert isinstance(lost, Lost)
            assert (lost.code, lost.reason) == (None, "the connection was refused")


@pytest.mark.parametrize("status", [403, 404])
async def test_a_server_of_another_kind_ends_the_iteration(status: int) -> None:
    """A handshake that is refused for good is not tried again."""
    async with http_server(status) as url, Client(url, "key", reconnect=quick()) as client:
        with pytest.raises(
            Unreachable, match=f"^the server answered {status} to the WebSocket handshake; is this the URL"
        ):
            await until_event(client)


@pytest.mark.parametrize("status", [429, 502, 503])
async def test_a_busy_server_is_tried_again(status: int) -> None:
    """A balancer without a node behind it is told, and tried again."""
    async with http_server(status) as url, Client(url, "key", reconnect=quick()) as client:
        items = aiter(client)
        lost = [await anext(items), await anext(items)]
        assert {item.reason for item in lost if isinstance(item, Lost)} == {
            f"the server answered {status} to the WebSocket handshake"
        }


async def test_tls_with_an_authority_of_ours(tmp_path: Path) -> None:
    """Over TLS the server's certificate is checked against the given authority."""
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    server_tls = server_context(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with pusher_server(tell, tls=server_tls) as server:
        async with Client(server.url, "key", tls=client_context(tmp_path / "ca.pem")) as client:
            await client.subscribe("news")
            await until_event(client)
        async with Client(server.url, "key", reconnect=quick()) as client:
            with pytest.raises(Unreachable, match=r"^the server's certificate is not trusted: "):
                await until_event(client)


@asynccontextmanager
async def http_server(status: int) -> AsyncIterator[str]:
    """A server that answers everything with one status; gives its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

"""The sync client over real sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.integration.cli.pusher_server import Act, Conversation, pusher_server
from tests.integration.cli.test_client import closing, quick, tell
from tests.support.ports import free_port
from wsmesh.client import (
    Authorization,
    Connected,
    Event,
    Item,
    Lost,
    NotAuthorized,
    Refused,
    Stopped,
    Subscribed,
    SyncClient,
)

T = TypeVar("T")


def until_event(client: SyncClient) -> list[Item]:
    """Everything up to and with the first event."""
    found: list[Item] = []
    for item in client:
        found.append(item)
        if isinstance(item, Event):
            break
    return found


async def in_thread(work: Callable[[str], T], *acts: Act) -> T:
    """Run a sync program beside a server; it gets the server's URL."""
    async with asyncio.timeout(30), pusher_server(*acts) as server:
        return await asyncio.to_thread(work, server.url)


async def test_events_arrive() -> None:
    """A subscriber is told that it is connected and subscribed, and then gets the event."""

    def work(url: str) -> list[Item]:
        with SyncClient(url, "key") as client:
            client.subscribe("news")
            return until_event(client)

    assert await in_thread(work, tell) == [
        Connected("1.2"),
        Subscribed("news"),
        Event("news", "headline", '{"a": 1}', "n1~x:1"),
    ]


@pytest.mark.parametrize("code", [4200, 1006, 4100])
async def test_a_lost_connection_is_opened_again(code: int) -> None:
    """After a close that allows it the client comes back, and says that it may have missed something."""

    async def lose(client: Conversation) -> None:
        await client.take()
        if code == 1006:
            client.socket.transport.abort()
        else:
            await client.close(code, "moved")

    def work(url: str) -> list[Item]:
        with SyncClient(url, "key", reconnect=quick()) as client:
            client.subscribe("news")
            return until_event(client)

    found = await in_thread(work, lose, tell)
    (lost,) = [item for item in found if isinstance(item, Lost)]
    assert lost.code == code
    assert found[-2] == Subscribed("news", False)


async def test_a_close_for_good_ends_the_iteration() -> None:
    """After 4000 to 4099 the client does not come back, and says why."""

    def work(url: str) -> tuple[int, str]:
        with SyncClient(url, "key") as client:
            client.subscribe("news")
            with pytest.raises(Stopped) as caught:
                until_event(client)
            return caught.value.code, caught.value.reason

    assert await in_thread(work, closing(4001, "no such app")) == (4001, "no such app")


async def test_it_resumes_from_where_it_was() -> None:
    """The position of the last event goes with the next subscribe, and what comes twice is dropped."""
    asked = []

    async def act(client: Conversation) -> None:
        await client.say("pusher:connection_established", {"socket_id": "1.2", "activity_timeout": 30})
        asked.append((await client.hear())["data"])
        position = asked[-1]["position"]
        answer = {"recovered": bool(position), "position": position or {"n1~x": 1}}
        await client.say("pusher_internal:subscription_succeeded", answer, channel="news")
        for number in (2, 3)[: len(asked)]:
            await client.say("x", number, channel="news", id=f"n1~x:{number}")
        await client.close(4200)

    def work(url: str) -> tuple[list[str], list[bool | None], object, int]:
        data, recovered = [], []
        with SyncClient(url, "key", reconnect=quick()) as client:
            client.subscribe("news")
            for item in client:
                if isinstance(item, Subscribed):
                    recovered.append(item.recovered)
                if isinstance(item, Event):
                    data.append(item.data)
                    if item.data == "3":
                        return data, recovered, client.position("news"), client.duplicates
        raise AssertionError("the iteration ended")

    assert await in_thread(work, act) == (["2", "3"], [None, True], {"n1~x": 3}, 1)
    assert [data["position"] for data in asked] == [{}, {"n1~x": 2}]


async def test_private_channels_are_joined_with_a_proof() -> None:
    """`authorize` is asked for private channels alone; what it refuses is an item, and the rest goes on."""
    seen = []

    async def act(client: Conversation) -> None:
        seen.extend(await client.take(2))
        await client.say("x", channel="news")
        await client.socket.wait_closed()

    def authorize(socket_id: str, channel: str) -> Authorization:
        if channel == "private-b":
            raise NotAuthorized("not yours")
        return Authorization(f"key:{socket_id}:{channel}")

    def work(url: str) -> list[Item]:
        with SyncClient(url, "key", authorize=authorize) as client:
            client.subscribe("private-a", "private-b", "news")
            return until_event(client)

    assert Refused("private-b", "not yours") in await in_thread(work, act)
    assert [data.get("auth") for data in seen] == ["key:1.2:private-a", None]


async def test_another_thread_joins_leaves_and_closes() -> None:
    """While one thread iterates, others subscribe and unsubscribe, and end the iteration."""
    heard = []

    async def act(client: Conversation) -> None:
        await client.take(0)
        heard.extend([await client.hear(), await client.hear()])
        await client.say("x", channel="late")
        await client.socket.wait_closed()

    def work(url: str) -> list[str]:
        client = SyncClient(url, "key")
        items: list[Item] = []
        connected, event = threading.Event(), threading.Event()

        def iterate() -> None:
            for item in client:
                items.append(item)
                (event if isinstance(item, Event) else connected).set()

        thread = threading.Thread(target=iterate)
        thread.start()
        try:
            assert connected.wait(20)
            client.subscribe("late")
            client.unsubscribe("late")
            assert event.wait(20)
        finally:
            client.close()
            thread.join(20)
        assert not thread.is_alive()
        return [type(item).__name__ for item in items]

    assert await in_thread(work, act) == ["Connected", "Event"]
    assert [frame["event"] for frame in heard] == ["pusher:subscribe", "pusher:unsubscribe"]


async def test_closing_ends_a_wait_for_the_next_attempt() -> None:
    """A client that waits to connect again ends at once when it is closed."""

    def work() -> list[Item]:
        with SyncClient(f"http://127.0.0.1:{free_port()}", "key") as client:
            found = []
            for item in client:
                found.append(item)
                client.close()
            return found

    async with asyncio.timeout(30):
        (lost,) = await asyncio.to_thread(work)
    assert isinstance(lost, Lost)
    assert (lost.code, lost.reason) == (None, "the connection was refused")

"""Clients that resume over real sockets: what they get, in which order, and how much of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.unit.wsnode_clients.raw import CLOSE, TEXT, Raw, raw_client
from tests.unit.wsnode_clients.serving import APP, STREAM, Client, Node, serve, until
from wsmesh.contract import App, ChannelRule
from wsnode.domain.close_codes import DRAINING
from wsnode.domain.messages import Event

LARGE = App(id=APP.id, key=APP.key, secret=APP.secret, rules=[ChannelRule(pattern="*", history_messages=10_000)])
OTHER = "n2~b"


async def resume(client: Client, channel: str, position: dict[str, int]) -> Any:
    """Subscribe with a position; the data of the answer."""
    await client.say("pusher:subscribe", {"channel": channel, "position": position})
    return await answered(client)


async def answered(client: Client) -> Any:
    heard = await client.hear()
    assert heard["event"] == "pusher_internal:subscription_succeeded", heard
    return json.loads(heard["data"])


async def told(client: Client | Raw) -> Any:
    """The position that the node tells next."""
    heard = await client.hear()
    assert heard["event"] == "pusher_internal:position", heard
    return json.loads(heard["data"])["position"]


async def test_a_client_comes_back_for_what_it_missed() -> None:
    """It learns its position, leaves, and gets what came meanwhile before anything new, each event once."""
    async with serve() as node:
        async with node.client() as client:
            assert await resume(client, "news", {}) == {"recovered": False, "position": {STREAM: 0}}
            node.event("news", "1")
            position = {STREAM: int((await client.hear())["id"].rpartition(":")[2])}
        node.event("news", "2")
        node.arrive(OTHER, Event(APP.id, ["news"], "news", "3"))
        node.event("other", "4")
        async with node.client() as client:
            answer = await resume(client, "news", position)
            assert answer == {"recovered": True, "position": {STREAM: 3, OTHER: 1}}
            node.event("news", "5")
            assert [(await client.hear())["data"] for _ in range(2)] == ["2", "3"]
            assert await told(client) == {STREAM: 3, OTHER: 1}
            assert (await client.hear())["data"] == "5"


async def test_a_malformed_position_over_the_wire() -> None:
    """The error comes on the channel, the connection stays, and a subscribe without it succeeds."""
    async with serve() as node, node.client() as client:
        await client.say("pusher:subscribe", {"channel": "news", "position": {"n1~abc": -1}})
        text = f'The number of n1~abc in \\"position\\" must be a whole number from 0 to {2**53 - 1}'
        assert await client.hear() == {
            "event": "pusher:subscription_error",
            "channel": "news",
            "data": f'{{"type":"PositionError","error":"{text}","status":400}}',
        }
        await client.subscribe("news")


async def test_libraries_that_know_no_positions_are_left_alone() -> None:
    """Without a position the answer has empty data, and nothing but the protocol's own events follows."""
    async with serve() as node, raw_client(node.port) as client:
        client.say("pusher:subscribe", {"channel": "news"})
        assert await client.hear() == {
            "event": "pusher_internal:subscription_succeeded",
            "channel": "news",
            "data": "{}",
        }


async def missed_by(client: Raw, number: int) -> list[str]:
    """The data of so many events."""
    return [(await client.hear())["data"] for _ in range(number)]


def publish_many(node: Node, number: int, size: int) -> list[str]:
    return [data for count in range(number) if node.event("news", data := f"{count:04}" + "x" * size)]


async def test_more_than_may_wait_for_a_client_is_replayed_as_it_reads() -> None:
    """A client that reads gets all it missed and what came meanwhile, in order, through a buffer that stays small."""
    async with serve(LARGE, max_unsent_bytes=100_000) as node, raw_client(node.port) as client:
        missed = publish_many(node, 1000, 10_000)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.say("pusher:subscribe", {"channel": "news", "position": {STREAM: 0}})
        await until(lambda: node.clients.hub.replayed == 1000)
        later = [f"later {number}" for number in range(20)]
        for data in later:
            node.event("news", data)
            await asyncio.sleep(0)
        [connection] = node.clients.connections
        assert connection._transport.get_write_buffer_size() < 200_000
        assert connection.unsent_bytes > 1_000_000
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert json.loads((await client.hear())["data"]) == {"recovered": True, "position": {STREAM: 1000}}
        assert await missed_by(client, 1000) == missed
        assert await told(client) == {STREAM: 1000}
        assert await missed_by(client, 20) == later
        assert (node.clients.slow, connection._backlog) == (0, None)
        node.event("news", "at once")
        assert await missed_by(client, 1) == ["at once"]


async def test_several_channels_are_resumed_in_one_go() -> None:
    """Subscribes that come together are answered in turn, each followed by what was missed of its channel."""
    async with serve(LARGE, max_unsent_bytes=100_000) as node, node.client() as client:
        for number in range(300):
            node.event(f"c{number % 3}", f"{number}" + "x" * 5000)
        for number in range(3):
            await client.say("pusher:subscribe", {"channel": f"c{number}", "position": {STREAM: 0}})
        for number in range(3):
            assert (await answered(client))["recovered"]
            heard = [await client.hear() for _ in range(100)]
            assert [message["data"].rstrip("x") for message in heard] == [str(n) for n in range(number, 300, 3)]
            assert await told(client) == {STREAM: 300}


async def test_a_resuming_client_that_does_not_read_is_closed_for_what_came_meanwhile() -> None:
    """What it missed may wait, but of new events no more than for any other client."""
    async with serve(LARGE, max_unsent_bytes=100_000) as node, raw_client(node.port) as client:
        publish_many(node, 1000, 10_000)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.say("pusher:subscribe", {"channel": "news", "position": {STREAM: 0}})
        await until(lambda: node.clients.hub.replayed == 1000)
        for _ in range(9):
            node.event("news", "x" * 10_000)
        await asyncio.sleep(0)
        assert (node.clients.slow, node.clients.sessions) == (0, 1)
        publish_many(node, 3, 10_000)
        await until(lambda: node.clients.slow == 1)
        assert node.clients.sessions == 0


async def test_a_client_that_is_closed_while_it_catches_up_may_come_back() -> None:
    """The close frame does not wait for what was missed; the position that the client has then is good for the rest."""
    async with serve(LARGE, max_unsent_bytes=100_000) as node:
        missed = publish_many(node, 1000, 10_000)
        seen: list[str] = []
        async with raw_client(node.port) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.say("pusher:subscribe", {"channel": "news", "position": {STREAM: 0}})
            await until(lambda: node.clients.hub.replayed == 1000)
            [connection] = node.clients.connections
            connection.close(DRAINING)
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            await client.hear()
            while (frame := await client.frame())[0] == TEXT:
                seen.append(json.loads(frame[1])["data"])
            assert frame[0] == CLOSE
        assert 0 < len(seen) < 1000
        async with node.client() as second:
            assert (await resume(second, "news", {STREAM: len(seen)}))["recovered"]
            rest = [(await second.hear())["data"] for _ in range(1000 - len(seen))]
        assert seen + rest == missed


async def test_positions_come_with_the_tick() -> None:
    """A client on a quiet channel is told how far it is."""
    now = 1000.0
    async with serve(now=lambda: now) as node, node.client() as client:
        await resume(client, "quiet", {})
        node.event("busy")
        now += 61
        node.clients.tick()
        assert await told(client) == {STREAM: 1}


async def test_what_is_too_old_is_forgotten_a_little_at_a_time() -> None:
    """A tick never takes long; what it leaves goes soon after."""
    now = 1000.0
    async with serve(LARGE, now=lambda: now) as node:
        for number in range(5000):
            node.event(f"c{number}")
        now += 301
        node.clients.tick()
        assert node.clients.hub.history.bytes > 0
        await until(lambda: node.clients.hub.history.bytes == 0)
        await until(lambda: len(node.clients.hub.history) == 0)

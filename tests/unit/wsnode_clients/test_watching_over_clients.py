"""Silence, slowness and the end of a node, over real sockets and with a clock that the test moves."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.unit.wsnode_clients.raw import CLOSE, PING, PONG, Raw, frame, raw_client
from tests.unit.wsnode_clients.serving import APP, Node, serve, until
from wsmesh.contract import App, ChannelRule
from wsnode.domain.directory import Directory
from wsnode.domain.messages import SubscriptionCount, Terminate
from wsnode.web.wheel import Wheel


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.time = 1000.5

    def __call__(self) -> float:
        """The time now."""
        return self.time

    def pass_(self, seconds: float, tick: Callable[[], None]) -> None:
        """Let time pass second by second, with a tick in each."""
        for _ in range(round(seconds)):
            self.time += 1
            tick()


async def test_a_silent_client_is_pinged_and_one_that_answers_stays() -> None:
    """A WebSocket ping comes after the activity timeout (and up to a quarter more), and a pong starts it anew."""
    clock = Clock()
    async with serve(now=clock, activity_timeout=20, pong_timeout=5) as node, raw_client(node.port) as client:
        for round_ in range(1, 4):
            clock.pass_(19, node.clients.tick)
            assert node.clients.pings == round_ - 1
            waited = 19
            while node.clients.pings < round_:
                clock.pass_(1, node.clients.tick)
                waited += 1
            assert waited <= 27
            assert await client.frame() == (PING, b"")
            clock.pass_(4, node.clients.tick)
            client.send(frame(PONG), frame(1, b'{"event":"pusher:ping"}'))
            assert (await client.hear())["event"] == "pusher:pong"
        assert node.clients.sessions == 1


async def test_a_client_that_does_not_answer_is_closed() -> None:
    """Without any sign of life for the pong timeout after a ping, the connection ends with 4201."""
    clock = Clock()
    async with serve(now=clock, activity_timeout=20, pong_timeout=5) as node, raw_client(node.port) as client:
        clock.pass_(26, node.clients.tick)
        assert await client.frame() == (PING, b"")
        clock.pass_(6, node.clients.tick)
        assert await client.frame() == (CLOSE, b"\x10\x69No answer to a ping")
        assert node.clients.sessions == 0


async def test_who_speaks_is_not_pinged() -> None:
    """Whatever a client sends counts as a sign of life."""
    clock = Clock()
    async with serve(now=clock, activity_timeout=20) as node, raw_client(node.port) as client:
        for _ in range(10):
            clock.pass_(15, node.clients.tick)
            client.send(frame(1, b'{"event":"pusher:ping"}'))
            assert (await client.hear())["event"] == "pusher:pong"
        assert node.clients.pings == 0


async def test_a_peer_that_does_not_finish_closing_is_cut() -> None:
    """The node waits a few seconds for the other side's close frame, then ends the connection itself."""
    clock = Clock()
    async with serve(now=clock) as node, raw_client(node.port) as client:
        node.clients.apply(Directory([]))
        assert (await client.hear())["data"]["code"] == 4001
        assert (await client.frame())[0] == CLOSE
        clock.pass_(4, node.clients.tick)
        assert len(node.clients.connections) == 1
        clock.pass_(2, node.clients.tick)
        await until(lambda: not node.clients.connections)
        assert node.clients.closed == {4001: 1}


async def test_too_many_messages_end_the_connection() -> None:
    """Beyond the burst a client is told and closed with 4100; pings count like messages."""
    async with serve(client_messages_per_second=2) as node, raw_client(node.port) as client:
        client.send(*[frame(PING)] * 11)
        frames = [await client.frame() for _ in range(13)]
        text = b"Too many messages in a short time; send fewer"
        error = b'{"event":"pusher:error","data":{"code":4100,"message":"' + text + b'"}}'
        assert frames[0] == (1, error)
        assert (CLOSE, b"\x10\x04" + text) in frames


async def subscribe(client: Raw, channel: str = "news") -> None:
    client.say("pusher:subscribe", {"channel": channel})
    assert (await client.hear())["event"] == "pusher_internal:subscription_succeeded"


async def test_a_client_that_does_not_read_is_closed_at_its_limit_and_delays_nobody() -> None:
    """Unsent bytes are bounded: the slow client ends with 4200, and every message reaches the other one at once."""
    data = "x" * 60_000
    async with serve(max_unsent_bytes=500_000) as node, raw_client(node.port) as slow, raw_client(node.port) as quick:
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        slow.say("pusher:subscribe", {"channel": "news"})
        await until(lambda: node.clients.hub.subscriptions == 1)
        await subscribe(quick)
        longest, sent = 0.0, 0
        while node.clients.slow == 0:
            start = time.monotonic()
            node.event("news", data)
            sent += 1
            assert (await quick.hear())["id"] == f"n1~abc:{sent}"
            longest = max(longest, time.monotonic() - start)
            assert node.clients.unsent_bytes <= 500_000 + 2 * len(data)
            assert sent < 1000, "the slow client was never closed"
        assert longest < 1
        assert node.clients.hub.channel_counts(APP.id) == {"news": 1}
        slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await slow.hear()
        opcode, payload = await slow.frame()
        while opcode != CLOSE:
            opcode, payload = await slow.frame()
        assert payload == b"\x10\x68Too many bytes wait to be read; reconnect"
        await until(lambda: node.clients.closed == {4200: 1})


async def test_a_slow_client_that_never_reads_again_is_cut() -> None:
    """Its unsent bytes are given up after a few seconds."""
    clock = Clock()
    async with serve(now=clock, max_unsent_bytes=16_384) as node, raw_client(node.port) as slow:
        await subscribe(slow)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        while node.clients.slow == 0:
            node.event("news", "x" * 100_000)
            await asyncio.sleep(0)
        assert node.clients.unsent_bytes > 0
        clock.pass_(7, node.clients.tick)
        await until(lambda: not node.clients.connections)
        assert node.clients.unsent_bytes == 0


async def test_within_one_turn_of_the_loop_the_limit_holds_too() -> None:
    """A burst that the node cannot pause in does not fill its memory for a client that does not read."""
    async with serve(max_unsent_bytes=100_000) as node, raw_client(node.port) as slow:
        await subscribe(slow)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(1000):
            node.event("news", "x" * 50_000)
        assert node.clients.unsent_bytes < 300_000


async def test_a_burst_in_one_turn_of_the_loop_reaches_a_client_that_reads() -> None:
    """More bytes than the limit, published at once, are no reason to close a client that takes them."""
    async with serve(max_unsent_bytes=1_048_576) as node, node.client() as client:
        await client.subscribe("news")
        for _ in range(2):
            for _ in range(100):
                node.event("news", "x" * 8_000)
            assert [len((await client.hear())["data"]) for _ in range(100)] == [8_000] * 100
        assert node.clients.slow == 0


async def test_a_draining_node_spreads_the_closes() -> None:
    """After a moment for the load balancer every client gets 4200, not all at once, and new ones are refused."""
    clock = Clock()
    async with serve(now=clock) as node:
        clients = [await stack(node) for _ in range(19)]
        drain = asyncio.create_task(node.clients.close_all(over=10))
        await asyncio.sleep(0)  # it begins
        clock.time += 1.4
        clients.append(await stack(node))  # the load balancer has not noticed yet: whoever comes is let in
        assert node.clients.sessions == 20
        clock.time += 0.1
        await until(lambda: node.clients.draining)
        hearing = [asyncio.create_task(client.frame()) for client, _ in clients]
        clock.time += 4.5
        await until(lambda: sum(task.done() for task in hearing) >= 11)
        assert sum(task.done() for task in hearing) == 11
        async with raw_client(node.port, established=False) as late:
            assert (await late.hear())["data"]["code"] == 4100
        clock.time += 4
        for (client, manager), heard in zip(clients, hearing, strict=True):
            assert await heard == (CLOSE, b"\x10\x68This node is stopping; reconnect")
            client.send(frame(CLOSE, b"\x10\x68"))
            await manager.__aexit__(None, None, None)
        await drain
        assert node.clients.connections == set()


async def stack(node: Node):  # type: ignore[no-untyped-def]
    manager = raw_client(node.port)
    return await manager.__aenter__(), manager


async def test_the_app_ends_the_connections_of_a_user() -> None:
    """A terminated user hears 4009 as an error and as the close code."""
    async with serve() as node, raw_client(node.port) as client:
        [session] = node.clients.hub.sessions_of(APP.id)
        node.clients.hub.signed_in(session, "u1", 0)
        node.publish(Terminate(app=APP.id, user="u1"))
        text = "The app ended the connections of this user"
        assert (await client.hear())["data"] == {"code": 4009, "message": text}
        assert await client.frame() == (CLOSE, b"\x0f\xa9" + text.encode())


async def test_subscription_counts_reach_the_stream_and_the_subscribers() -> None:
    """A join and a leave are published, and those who stay hear the number."""
    app = App(id="shop", key="key", secret="s", rules=[ChannelRule(pattern="c-*", subscription_count=True)])
    count = {"event": "pusher_internal:subscription_count", "channel": "c-1"}
    async with serve(app) as node, raw_client(node.port) as one:
        await subscribe(one, "c-1")
        assert await one.hear() == count | {"data": '{"subscription_count":1}'}
        async with raw_client(node.port) as two:
            await subscribe(two, "c-1")
            assert await one.hear() == count | {"data": '{"subscription_count":2}'}
        assert await one.hear() == count | {"data": '{"subscription_count":1}'}
        assert node.published == [SubscriptionCount("shop", "c-1", number) for number in (1, 2, 1)]


async def test_clients_over_tls(tmp_path: Path) -> None:
    """The connection on the bare transport works through TLS as well, to its very end."""
    authority = trustme.CA()
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trusting)
    async with serve(tls=server) as node:
        async with node.client(ssl=trusting) as client:
            await client.subscribe("news")
            node.event("news", "x" * 70_000)
            assert len((await client.hear())["data"]) == 70_000
        await until(lambda: not node.clients.connections)
        assert node.clients.closed == {1000: 1}


class Item:
    """Something to look at later."""

    due: int | None = None


def test_the_wheel_gives_each_item_once_when_it_is_due() -> None:
    """An item comes out in the second after its time, can be moved and dropped, and is then forgotten."""
    wheel: Wheel[Item] = Wheel(10.0)
    one, two, three = Item(), Item(), Item()
    wheel.set(one, 12.2)
    wheel.set(two, 12.9)
    wheel.set(three, 1.0)
    wheel.set(two, 15.0)
    wheel.drop(three)
    assert [wheel.pop(12.9), wheel.pop(13.0), wheel.pop(13.0), wheel.pop(100.0)] == [[], [one], [], [two]]
    assert (one.due, two.due, wheel._seconds) == (None, None, {})


@pytest.mark.parametrize("late", [0, 1000])
def test_the_wheel_takes_times_that_have_passed(late: int) -> None:
    """What was due long ago comes out with the next look."""
    wheel: Wheel[Item] = Wheel(10.0)
    wheel.pop(10.0 + late)
    item = Item()
    wheel.set(item, 5.0)
    assert wheel.pop(11.0 + late) == [item]

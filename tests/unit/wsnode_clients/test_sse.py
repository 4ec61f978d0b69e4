"""Server-sent events over real sockets: what a client gets, where it goes on, and how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.unit.wsnode_clients.listening import Answer, listening, path, recovered, request, serve_sse
from tests.unit.wsnode_clients.serving import APP, STREAM, until
from wsmesh.contract import App, AppLimits, ChannelRule
from wsmesh.position import format_position, parse_position
from wsnode.domain.close_codes import DRAINING
from wsnode.domain.directory import Directory
from wsnode.domain.messages import Event, Message

OTHER = "n2~b"
LARGE = App(id=APP.id, key=APP.key, secret=APP.secret, rules=[ChannelRule(pattern="*", history_messages=10_000)])


def several(*channels: str, data: str = "{}") -> Event:
    """An event that goes to several channels."""
    return Event(APP.id, list(channels), "news", data)


async def until_read(answer: Answer, condition: Callable[[], bool]) -> None:
    while not condition():
        assert await answer.stream.more()


async def test_a_client_is_told_who_it_is_and_where_it_stands() -> None:
    """The answer is a stream that no proxy keeps back; its first messages are those of the WebSocket protocol."""
    async with serve_sse() as node, request(node, path("news")) as answer:
        assert answer.status == 200
        assert answer.headers == {
            "content-type": "text/event-stream",
            "cache-control": "no-cache, no-transform",
            "x-accel-buffering": "no",
            "connection": "close",
        }
        first = await answer.next()
        assert 300 <= (answer.stream.parser.retry or 0) <= 1300
        assert first.message["event"] == "pusher:connection_established"
        data = json.loads(first.message["data"])
        [session] = node.clients.hub.sessions_of(APP.id)
        assert data == {"socket_id": session.socket_id, "activity_timeout": 15}
        assert await answer.next() == (
            {"event": "pusher_internal:subscription_succeeded", "channel": "news", "data": '{"recovered":false}'},
            f"{STREAM}:0",
        )


async def test_events_come_with_the_position_after_them() -> None:
    """Each is the message that a WebSocket gets; its id is the position of the client after it, in all streams."""
    async with serve_sse() as node, listening(node, "news", "sport") as (answer, _):
        node.event("news", "1\n2\r\n3", name="a: b")
        node.arrive(OTHER, several("sport", data="data: x\n\n"))
        node.event("elsewhere")
        node.event("news", "é\u2028")
        assert await answer.next() == (
            {"event": "a: b", "channel": "news", "data": "1\n2\r\n3", "id": f"{STREAM}:1"},
            f"{STREAM}:1",
        )
        assert await answer.next() == (
            {"event": "news", "channel": "sport", "data": "data: x\n\n", "id": f"{OTHER}:1"},
            f"{STREAM}:1,{OTHER}:1",
        )
        assert await answer.next() == (
            {"event": "news", "channel": "news", "data": "é\u2028", "id": f"{STREAM}:3"},
            f"{STREAM}:3,{OTHER}:1",
        )


async def test_events_of_one_turn_have_each_their_own_position() -> None:
    """Messages that arrive together are known to the node at once, but a client has only what was written to it."""
    async with serve_sse() as node, listening(node, "news") as (answer, _):
        node.seq = 5  # as the mesh does: the position moves, then the messages are delivered one by one
        for number in (3, 4, 5):
            node.clients.deliver(STREAM, Message(number, several("news")))
        assert [(await answer.next()).last_event_id for _ in range(3)] == [f"{STREAM}:{seq}" for seq in (3, 4, 5)]


async def test_a_client_comes_back_for_what_it_missed() -> None:
    """It gets what came meanwhile in all its channels, in the order of each stream and once, then anything new."""
    async with serve_sse() as node:
        async with listening(node, "news", "sport") as (answer, said):
            assert recovered(said) == [False, False]
            node.event("news", "1")
            last = (await answer.next()).last_event_id
        node.event("news", "2")
        node.event("sport", "3")
        node.arrive(OTHER, several("news", data="4"))
        node.event("other", "5")
        node.event("news", "6")
        async with listening(node, "sport", "news", last=last) as (answer, said):
            node.event("sport", "7")
            assert recovered(said) == [True, True]
            assert {it.last_event_id for it in said} == {last}
            events = [await answer.next() for _ in range(5)]
            assert [it.message["data"] for it in events] == ["2", "3", "4", "6", "7"]
            assert [it.last_event_id for it in events] == [
                f"{STREAM}:2",
                f"{STREAM}:3",
                f"{STREAM}:3,{OTHER}:1",
                f"{STREAM}:5,{OTHER}:1",
                f"{STREAM}:6,{OTHER}:1",
            ]


@pytest.mark.parametrize("cut", range(5))
async def test_a_client_that_is_cut_off_while_it_catches_up_goes_on_there(cut: int) -> None:
    """After any event, also one that it gets in several channels, the position asks for exactly the rest."""
    async with serve_sse() as node:
        node.event("a", "1")
        node.arrive(OTHER, several("b", data="2"))
        node.event("b", "3")
        node.arrive(OTHER, several("a", data="4"))
        node.event("a", "5")
        async with listening(node, "a", "b", last=f"{STREAM}:0,{OTHER}:0") as (answer, said):
            assert recovered(said) == [True, True]
            last = said[-1].last_event_id
            for _ in range(cut):
                last = (await answer.next()).last_event_id
        async with listening(node, "a", "b", last=last) as (answer, said):
            assert recovered(said) == [True, True]
            assert await answer.data(5 - cut) == ["1", "2", "3", "4", "5"][cut:]


async def test_an_event_in_several_channels_is_seen_with_its_last_copy() -> None:
    """The position moves only with the last copy that the client gets, live and replayed: none may be lost."""
    async with serve_sse() as node:
        async with listening(node, "a", "c") as (answer, _), listening(node, "b") as (single, _):
            node.publish(several("a", "b", "c", data="1"))
            assert [(await answer.next()).last_event_id for _ in range(2)] == [f"{STREAM}:0", f"{STREAM}:1"]
            assert (await single.next()).last_event_id == f"{STREAM}:1"
        async with listening(node, "c", "a", last=f"{STREAM}:0") as (answer, _):
            events = [await answer.next() for _ in range(2)]
            assert [it.last_event_id for it in events] == [f"{STREAM}:0", f"{STREAM}:1"]
            assert {it.message["channel"] for it in events} == {"a", "c"}


async def test_what_cannot_be_recovered_is_said_for_each_channel() -> None:
    """A channel without enough history is not recovered, its events are not replayed, and the others' are."""
    rules = [ChannelRule(pattern="short", history_messages=1)]
    app = App(id=APP.id, key=APP.key, secret=APP.secret, rules=rules)
    async with serve_sse(app) as node:
        for number in range(3):
            node.event("short", str(number))
            node.event("long", str(number))
        async with listening(node, "short", "long", last=f"{STREAM}:0") as (answer, said):
            assert recovered(said) == [False, True]
            assert await answer.data(3) == ["0", "1", "2"]
        async with listening(node, "short", last=f"{STREAM}:3,x~1:5") as (answer, said):
            assert recovered(said) == [False]
            node.event("short", "new")
            event = await answer.next()
            assert (event.message["data"], event.last_event_id) == ("new", f"{STREAM}:7,x~1:5")


async def test_a_client_may_be_ahead_of_the_node() -> None:
    """What it has seen elsewhere is not sent again when it arrives here, and its position never goes back."""
    async with serve_sse(sse_heartbeat=1) as node:
        node.position[OTHER] = 1
        async with listening(node, "news", last=f"{STREAM}:0,{OTHER}:3") as (answer, said):
            assert recovered(said) == [True]
            assert said[0].last_event_id == f"{STREAM}:0,{OTHER}:3"
            node.event("news", "own")
            assert (await answer.next()).last_event_id == f"{STREAM}:1,{OTHER}:3"
            for number in (2, 3, 4):
                node.arrive(OTHER, several("news", data=str(number)))
            event = await answer.next()
            assert (event.message["data"], event.last_event_id) == ("4", f"{STREAM}:1,{OTHER}:4")


async def test_the_first_position_may_stand_in_the_query() -> None:
    """A page that kept a position hands it on there; a reconnect's header, which is newer, wins over it."""
    async with serve_sse() as node:
        for number in range(3):
            node.event("news", str(number))
        url = path("news", last_event_id=f"{STREAM}:1")
        for last, missed in (("", ["1", "2"]), (f"{STREAM}:2", ["2"])):
            async with request(node, url, last=last) as answer:
                assert "true" in [(await answer.next()).message for _ in range(2)][1]["data"]
                assert await answer.data(len(missed)) == missed


async def test_cache_channels_say_their_last_event() -> None:
    """A client that does not recover gets it after the answer, or a miss; one that recovers gets what it missed."""
    async with serve_sse() as node:
        async with listening(node, "cache-a") as (answer, _):
            assert (await answer.next()).message == {"event": "pusher:cache_miss", "channel": "cache-a"}
        node.event("cache-a", "1")
        async with listening(node, "cache-a") as (answer, _):
            event = await answer.next()
            assert (event.message["data"], event.last_event_id) == ("1", f"{STREAM}:1")
        async with listening(node, "cache-a", last=f"{STREAM}:1") as (answer, said):
            assert recovered(said) == [True]
            node.event("cache-a", "2")
            assert await answer.data(1) == ["2"]


async def test_subscribers_are_counted_whatever_they_come_by() -> None:
    """A stream counts as a subscriber and hears the count."""
    app = App(id=APP.id, key=APP.key, secret=APP.secret, rules=[ChannelRule(pattern="*", subscription_count=True)])
    async with serve_sse(app) as node:
        async with listening(node, "news") as (answer, _):
            assert json.loads((await answer.next()).message["data"]) == {"subscription_count": 1}
            async with node.client() as client:
                await client.subscribe("news")
                assert json.loads((await answer.next()).message["data"]) == {"subscription_count": 2}
        await until(lambda: node.clients.hub.subscriptions == 0)


async def test_a_publisher_can_leave_its_own_stream_out() -> None:
    """The socket id works as `socket_id` of a publish, and the event does not come later either."""
    async with serve_sse() as node, listening(node, "news") as (answer, _):
        [session] = node.clients.hub.sessions_of(APP.id)
        node.event("news", "mine", exclude=session.socket_id)
        node.event("news", "theirs")
        assert await answer.data(1) == ["theirs"]


async def test_silence_is_broken_by_comments_and_positions() -> None:
    """A quiet stream gets a comment each SSE_HEARTBEAT; what happened elsewhere moves its position without an event."""
    clock = [0.0]
    async with serve_sse(now=lambda: 0.0, sse_heartbeat=10) as node:
        node.clients.now = lambda: clock[0] + 1_000_000
        async with listening(node, "news") as (answer, _):
            for beat in range(3):
                clock[0] += 11
                node.clients.tick()
                if beat == 1:
                    node.event("elsewhere")
            await until_read(answer, lambda: answer.stream.parser.comments >= 1)
            await until_read(answer, lambda: answer.stream.parser.last_event_id == f"{STREAM}:1")


async def test_a_heartbeat_does_not_overtake_events() -> None:
    """What was delivered in this turn of the loop is written before the position that includes it."""
    clock = [0.0]
    async with serve_sse(sse_heartbeat=10) as node:
        node.clients.now = lambda: clock[0] + 1_000_000
        async with listening(node, "news") as (answer, _):
            clock[0] += 11
            node.event("news", "1")
            node.clients.tick()
            writes = b""
            while b'"data":"1"' not in writes:
                writes += await answer.socket.read(65_536)
            assert writes.startswith(f"id: {STREAM}:1\ndata: ".encode())


async def test_a_client_that_does_not_read_is_closed() -> None:
    """Beyond MAX_UNSENT_BYTES it is cut, as a WebSocket client is, and comes back for the rest."""
    async with serve_sse(LARGE, max_unsent_bytes=16_384) as node, listening(node, "news") as (answer, said):
        answer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        sent = 0
        while not node.clients.slow:
            node.event("news", str(sent) + "x" * 50_000)
            sent += 1
            await asyncio.sleep(0)
            assert sent < 2_000
        assert node.clients.sessions == 0
        answer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        got = await answer.stream.end()
        last = got[-1].last_event_id if got else said[-1].last_event_id
        async with listening(node, "news", last=last) as (answer, said):
            assert recovered(said) == [True]
            rest = await answer.data(sent - len(got))
            assert [int(data.rstrip("x")) for data in rest] == list(range(len(got), sent))


async def test_more_than_may_wait_is_replayed_as_the_client_reads() -> None:
    """What was missed is made while it is written, through a buffer that stays small; what comes meanwhile follows."""
    async with serve_sse(LARGE, max_unsent_bytes=100_000) as node:
        missed = [f"{number:04}" + "x" * 10_000 for number in range(1000)]
        for data in missed:
            node.event("news", data)
        async with request(node, path("news"), last=f"{STREAM}:0") as answer:
            answer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            later = [f"later {number}" for number in range(20)]
            for data in later:
                node.event("news", data)
                await asyncio.sleep(0)
            [connection] = node.clients.connections
            assert connection.unsent_bytes < 300_000
            answer.writer.transport.resume_reading()  # type: ignore[attr-defined]
            for _ in range(2):
                await answer.next()
            assert await answer.data(1020) == missed + later
            assert parse_position(answer.stream.parser.last_event_id) == {STREAM: 1020}
            node.event("news", "at once")
            assert await answer.data(1) == ["at once"]
            assert node.clients.slow == 0


async def test_an_idle_stream_keeps_no_task() -> None:
    """Sanic's task for the request ends once the client is let in, and says nothing of it."""
    async with serve_sse() as node:
        before = asyncio.all_tasks()
        async with listening(node, "news"):
            await until(lambda: asyncio.all_tasks() <= before)
            assert node.clients.sessions == 1


async def test_a_drain_ends_the_stream() -> None:
    """The client is not told of an error: it comes back by itself, and goes on at another node."""
    async with serve_sse() as node, listening(node, "news") as (answer, _):
        await node.clients.close_all(DRAINING)
        assert await answer.stream.end() == []
        assert node.clients.closed == {4200: 1}
        async with request(node, path("news")) as refused:
            assert (refused.status, refused.headers["content-type"]) == (200, "text/event-stream")
            [error] = await refused.stream.end()
            text = "This node is stopping and takes no more clients; try again"
            assert error.message == {"event": "pusher:error", "data": {"code": 4100, "message": text}}
            assert 1000 <= (refused.stream.parser.retry or 0) <= 3000


@pytest.mark.parametrize(("ready", "most"), [(False, 10), (True, 1)])
async def test_who_cannot_be_taken_now_is_sent_away_for_a_moment(ready: bool, most: int) -> None:
    """A node that starts or is full answers with a success and a `retry`: a browser gives up after anything else."""
    async with serve_sse(max_connections=most) as node, node.client():
        node.clients.ready = ready
        async with request(node, path("news")) as answer:
            assert answer.status == 200
            [error] = await answer.stream.end()
            assert error.message["data"]["code"] == 4100
            assert error.last_event_id == ""


async def test_the_streams_of_an_app_that_goes_are_ended_with_the_reason() -> None:
    """The reason comes as `pusher:error`; coming back is refused with a status that ends the matter."""
    async with serve_sse() as node, listening(node, "news") as (answer, _):
        node.clients.apply(Directory([]))
        [error] = await answer.stream.end()
        assert error.message == {
            "event": "pusher:error",
            "data": {"code": 4001, "message": "There is no app with this key"},
        }
        async with request(node, path("news")) as again:
            assert (await again.error())[0] == 404


async def test_the_limits_of_connections_count_streams() -> None:
    """Streams and WebSockets fill an app together, and a stream that ends makes room."""
    app = App(id=APP.id, key=APP.key, secret=APP.secret, limits=AppLimits(max_connections=1))
    async with serve_sse(app) as node:
        async with listening(node, "news"):
            assert node.clients.hub.connections_by_app() == {APP.id: 1}
            async with request(node, path("news")) as answer:
                text = "The app has reached its limit of connections"
                assert await answer.error() == (403, {"code": "app_full", "message": text, "field": None})
        await until(lambda: node.clients.sessions == 0)
        async with listening(node, "news"):
            pass


async def test_what_a_client_sends_into_its_stream_is_dropped() -> None:
    """It disturbs nothing."""
    async with serve_sse() as node, listening(node, "news") as (answer, _):
        answer.writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        await answer.writer.drain()
        node.event("news", "1")
        assert await answer.data(1) == ["1"]


async def test_a_position_too_long_for_a_header_is_taken_back() -> None:
    """The client is left without one, so that it is told that it is not recovered instead of being refused."""
    async with serve_sse() as node:
        position = {f"{'n' * 40}{number}~a": 1 for number in range(200)}
        node.position = dict(position)
        async with listening(node, "news", last=f"{STREAM}:0") as (answer, said):
            assert len(format_position(position)) > 8_000
            assert [it.last_event_id for it in said] == [""]
            node.event("news", "1")
            assert (await answer.next()).last_event_id == ""

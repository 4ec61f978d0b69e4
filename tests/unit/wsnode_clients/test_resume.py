"""Clients that resume, without any transport."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.wsnode_clients.pure import (
    APP,
    SOCKET,
    STREAM,
    PureHub,
    closes,
    deliver,
    event,
    make_hub,
    make_session,
    said,
    succeeded,
    written,
)
from wsmesh.contract import App
from wsmesh.signature import channel_auth
from wsnode.domain import close_codes
from wsnode.domain.directory import Directory
from wsnode.domain.messages import Terminate
from wsnode.domain.session import Session

OTHER = "n2~b"


def resume(session: Session, channel: str, position: object, now: float = 0) -> list[Any]:
    """Subscribe with a position; the answers, with the data of the first one read.

    Who has recovered is told the position again after what it missed, which is checked and left away here.
    """
    heard = said(session, "pusher:subscribe", {"channel": channel, "position": position}, now)
    data = json.loads(heard[0]["data"])
    if data["recovered"]:
        last = heard.pop()
        assert (last["event"], last["channel"]) == ("pusher_internal:position", channel)
        assert json.loads(last["data"]) == {"position": data["position"]}
    return [heard[0] | {"data": data}, *heard[1:]]


def answer(channel: str, position: dict[str, int], *, recovered: bool) -> dict[str, Any]:
    return succeeded(channel) | {"data": {"recovered": recovered, "position": position}}


def ids(messages: list[Any]) -> list[str]:
    return [message["id"] for message in messages]


def test_missed_events_follow_the_answer() -> None:
    """They are what a subscriber would have got, in the order of arrival; the answer has the present position."""
    hub = make_hub()
    for number, stream in enumerate((STREAM, OTHER, STREAM)):
        deliver(hub, event("a", "b", data=str(number)), stream=stream)
    deliver(hub, event("b"))
    heard = resume(make_session(hub), "a", {STREAM: 1, OTHER: 0})
    assert heard[0] == answer("a", {STREAM: 3, OTHER: 1}, recovered=True)
    assert heard[1:] == [
        {"event": "news", "channel": "a", "data": "1", "id": f"{OTHER}:1"},
        {"event": "news", "channel": "a", "data": "2", "id": f"{STREAM}:2"},
    ]


def test_events_are_the_same_whether_somebody_was_subscribed_or_not() -> None:
    """A missed event is byte for byte what the others got at once, also the second time that it is missed."""
    hub = make_hub()
    live = make_session(hub, socket_id="1.0")
    resume(live, "a", {})
    at_once = [message for message, _ in written(deliver(hub, event("a", "b", data='"ü"', key="k")))]
    one, two = (resume(make_session(hub, socket_id=f"{n}.0"), "a", {STREAM: 0})[1:] for n in (2, 3))
    assert one == two == at_once
    [elsewhere] = resume(make_session(hub, socket_id="4.0"), "b", {STREAM: 0})[1:]
    assert elsewhere == at_once[0] | {"channel": "b"}


def test_an_empty_position_asks_for_it() -> None:
    """A client that wants to resume later learns where it begins, and gets nothing from before."""
    hub = make_hub()
    deliver(hub, event("a"))
    assert resume(make_session(hub), "a", {}) == [answer("a", {STREAM: 1}, recovered=False)]


@pytest.mark.parametrize("more", [{}, {"position": None}])
def test_without_a_position_nothing_changes(more: dict[str, Any]) -> None:
    """The answer is that of the protocol, and no position is told later."""
    hub = make_hub()
    deliver(hub, event("a"))
    assert said(make_session(hub), "pusher:subscribe", {"channel": "a"} | more) == [succeeded("a")]
    assert written(hub.tick(1000)) == []


def test_what_cannot_be_whole_is_not_begun() -> None:
    """When something is missing nothing is replayed, and the answer says so and where the client stands now."""
    hub = make_hub()
    for _ in range(3):
        deliver(hub, event("a"))
    hub.floors = {STREAM: 2}
    assert resume(make_session(hub), "a", {STREAM: 1}) == [answer("a", {STREAM: 3}, recovered=False)]


LIMIT = 9_007_199_254_740_991


@pytest.mark.parametrize(
    ("position", "text"),
    [
        ([], '"position" must be an object: stream id to number'),
        ("n1~a:5", '"position" must be an object: stream id to number'),
        (0, '"position" must be an object: stream id to number'),
        (False, '"position" must be an object: stream id to number'),
        ({STREAM: -1}, f'The number of {STREAM} in "position" must be a whole number from 0 to {LIMIT}'),
        ({STREAM: 1.0}, f'The number of {STREAM} in "position" must be a whole number from 0 to {LIMIT}'),
        ({STREAM: True}, f'The number of {STREAM} in "position" must be a whole number from 0 to {LIMIT}'),
        ({STREAM: "1"}, f'The number of {STREAM} in "position" must be a whole number from 0 to {LIMIT}'),
        ({STREAM: None}, f'The number of {STREAM} in "position" must be a whole number from 0 to {LIMIT}'),
        ({STREAM: LIMIT + 1}, f'The number of {STREAM} in "position" must be a whole number from 0 to {LIMIT}'),
        ({STREAM: 10**40}, f'The number of {STREAM} in "position" must be a whole number from 0 to {LIMIT}'),
        ({"n1": 1}, "\"position\" names 'n1', which is no stream id"),
        ({"": 1}, "\"position\" names '', which is no stream id"),
        ({"n1~A": 1}, "\"position\" names 'n1~A', which is no stream id"),
        ({"n1~a\n": 1}, "\"position\" names 'n1~a\\n', which is no stream id"),
        ({"x" * 500: 1}, f"\"position\" names '{'x' * 100}', which is no stream id"),
        (
            {f"n{number}~a": 1 for number in range(1025)},
            '"position" names 1025 streams, at most 1024 are allowed',
        ),
    ],
)
def test_a_malformed_position_is_refused(position: object, text: str) -> None:
    """The error says what is wrong, and there is no subscription."""
    hub = make_hub()
    session = make_session(hub)
    [refused] = said(session, "pusher:subscribe", {"channel": "a", "position": position})
    assert refused["event"] == "pusher:subscription_error"
    assert refused["channel"] == "a"
    assert json.loads(refused["data"]) == {"type": "PositionError", "error": text, "status": 400}
    assert (session.channels, hub.subscriptions, hub.channel_counts(APP.id)) == (set(), 0, {})


def test_a_large_position_is_fine() -> None:
    """A thousand and 24 streams, most of them unknown here, are no error, but then nothing can be said."""
    hub = make_hub()
    position = {f"n{number}~b": LIMIT for number in range(1023)}
    [heard] = resume(make_session(hub), "a", position | {STREAM: 0})
    assert heard == answer("a", position | {STREAM: 0}, recovered=False)


@pytest.mark.parametrize(
    ("channel", "more", "what"),
    [
        ("private-a", {}, "socket id and channel"),
        ("presence-a", {"channel_data": '{"user_id":"ada"}'}, "socket id, channel and channel_data"),
    ],
)
def test_who_may_not_subscribe_learns_nothing_of_positions(channel: str, more: dict[str, str], what: str) -> None:
    """The signature comes first: whatever the position, the answer is the same error and nothing else."""
    hub = make_hub()
    deliver(hub, event(channel))
    session = make_session(hub)
    text = f'The signature in "auth" is wrong for this {what}'
    refused = {
        "event": "pusher:subscription_error",
        "channel": channel,
        "data": json.dumps({"type": "AuthError", "error": text, "status": 401}, separators=(",", ":")),
    }
    positions: list[dict[str, Any]] = [{}, {"position": {}}, {"position": {STREAM: 0}}, {"position": "bad"}]
    for position in positions:
        subscribe = {"channel": channel, "auth": "key:wrong"} | more | position
        assert said(session, "pusher:subscribe", subscribe) == [refused]
    assert (session.channels, hub.subscriptions) == (set(), 0)


def test_who_may_subscribe_to_a_private_channel_resumes() -> None:
    """With the right signature a position is answered."""
    session = make_session(make_hub())
    signed = {"channel": "private-a", "auth": channel_auth(APP.key, APP.secret, SOCKET, "private-a")}
    good, _ = said(session, "pusher:subscribe", signed | {"position": {STREAM: 0}})
    assert json.loads(good["data"]) == {"recovered": True, "position": {STREAM: 0}}


def test_a_node_that_is_behind_does_not_deliver_again() -> None:
    """What a client has seen elsewhere is passed over when it comes here; others get it, and it what follows."""
    hub = make_hub()
    hub.known[OTHER] = 3
    ahead, other = make_session(hub, socket_id="1.0"), make_session(hub, socket_id="2.0")
    assert resume(ahead, "a", {STREAM: 0, OTHER: 5}) == [answer("a", {STREAM: 0, OTHER: 5}, recovered=True)]
    resume(other, "a", {})
    got = [written(deliver(hub, event("a"), stream=OTHER, seq=seq))[0][1] for seq in (4, 5, 6)]
    assert got == [{"2.0"}, {"2.0"}, {"1.0", "2.0"}]
    assert written(deliver(hub, event("a")))[0][1] == {"1.0", "2.0"}


def test_more_than_this_node_has_said_is_not_believed() -> None:
    """Nobody can have seen it: the client is told where the node is, and gets what it says from now on."""
    hub = make_hub()
    session = make_session(hub)
    assert resume(session, "a", {STREAM: 2**53 - 1}) == [answer("a", {STREAM: 0}, recovered=False)]
    assert written(deliver(hub, event("a")))[0][1] == {SOCKET}


def test_an_unknown_stream_is_passed_over_too() -> None:
    """Also where nothing can be said of what was missed, nothing is delivered twice, for as long as it may come."""
    hub = make_hub(max_seconds=100)
    session = make_session(hub)
    assert resume(session, "a", {STREAM: 0, OTHER: 5}) == [answer("a", {STREAM: 0, OTHER: 5}, recovered=False)]
    assert written(deliver(hub, event("a"), stream=OTHER, seq=5)) == [
        ({"event": "news", "channel": "a", "data": "{}", "id": f"{OTHER}:5"}, set())
    ]
    assert written(deliver(hub, event("a"), stream=OTHER, seq=6))[0][1] == {SOCKET}


def test_who_leaves_a_channel_is_no_longer_ahead_in_it() -> None:
    """A new subscription without a position begins anew."""
    hub = make_hub()
    session = make_session(hub)
    resume(session, "a", {STREAM: 0, OTHER: 5})
    resume(make_session(hub, socket_id="2.0"), "a", {})
    said(session, "pusher:unsubscribe", {"channel": "a"})
    said(session, "pusher:subscribe", {"channel": "a"})
    assert written(deliver(hub, event("a"), stream=OTHER, seq=5))[0][1] == {SOCKET, "2.0"}


def test_a_connection_cannot_make_a_node_remember_without_bound() -> None:
    """Beyond so many numbers that are not here yet a position is refused, and nothing is subscribed."""
    hub = make_hub()
    session = make_session(hub)
    position = {f"n{number}~b": 1 for number in range(1024)}
    for channel in "abcd":
        resume(session, channel, position)
    [refused] = said(session, "pusher:subscribe", {"channel": "e", "position": {OTHER: 1}})
    text = "The positions of this connection name too many messages that are not here yet"
    assert json.loads(refused["data"]) == {"type": "PositionError", "error": text, "status": 400}
    assert session.channels == set("abcd")
    assert len(resume(session, "f", {STREAM: 0})) == 1


def test_positions_are_told_again_to_those_that_resume() -> None:
    """On a quiet channel no event says how far the client is; without this it would fall behind what is kept."""
    hub = make_hub(max_seconds=100)
    one, two, plain = (make_session(hub, socket_id=f"{n}.0") for n in (1, 2, 3))
    resume(one, "a", {})
    resume(two, "b", {}, now=5)
    said(plain, "pusher:subscribe", {"channel": "a"})
    deliver(hub, event("elsewhere"))
    assert written(hub.tick(19)) == []
    told = {"event": "pusher_internal:position", "data": json.dumps({"position": {STREAM: 1}}, separators=(",", ":"))}
    assert written(hub.tick(20)) == [(told, {"1.0"})]
    assert written(hub.tick(25)) == [(told, {"2.0"})]
    assert written(hub.tick(39)) == []
    hub.remove(one, 39)
    assert written(hub.tick(40)) == []


def test_who_is_ahead_is_told_so() -> None:
    """Such a client is told channel by channel, and never a smaller number than it has, while that may still come."""
    hub = make_hub(max_seconds=100)
    hub.known[OTHER] = 3
    session = make_session(hub)
    resume(session, "a", {STREAM: 0, OTHER: 5, "n3~c": 7})
    resume(session, "b", {})

    def told(now: float) -> list[tuple[str | None, dict[str, int]]]:
        messages = [message for message, _ in written(hub.tick(now))]
        return [(message.get("channel"), json.loads(message["data"])["position"]) for message in messages]

    assert told(20) == [("a", {STREAM: 0, OTHER: 5, "n3~c": 7}), ("b", {STREAM: 0, OTHER: 3})]
    hub.known[OTHER] = 6
    assert told(40) == [("a", {STREAM: 0, OTHER: 6, "n3~c": 7}), ("b", {STREAM: 0, OTHER: 6})]
    assert told(200) == [(None, {STREAM: 0, OTHER: 6})]


def test_many_are_not_told_at_once() -> None:
    """Those that came together are told one after the other, and each within about the time that it should be."""
    hub = make_hub(max_seconds=100)
    for number in range(200):
        resume(make_session(hub, socket_id=f"{number}.0"), "a", {})
    sizes = []
    for second in range(20, 31):
        [(_, sessions)] = written(hub.tick(second)) or [(None, set[str]())]
        sizes.append(len(sessions))
    assert max(sizes) <= 21
    assert sum(sizes) >= 200


@pytest.mark.parametrize(
    ("position", "recovered", "follows"),
    [
        ({STREAM: 0}, True, ["1", "2"]),
        ({STREAM: 1}, True, ["2"]),
        ({STREAM: 2}, True, []),
        ({}, False, ["2"]),
        ({STREAM: 0, OTHER: 1}, False, ["2"]),
        ({STREAM: 2, OTHER: 1}, False, []),
    ],
)
def test_on_a_cache_channel_no_event_comes_twice(position: dict[str, int], recovered: bool, follows: list[str]) -> None:
    """Missed events take the place of the last one; a client that has seen the last one does not get it again."""
    hub = make_hub()
    for data in ("1", "2"):
        deliver(hub, event("cache-a", data=data))
    heard = resume(make_session(hub), "cache-a", position)
    assert heard[0]["data"]["recovered"] is recovered
    assert [message["data"] for message in heard[1:]] == follows


def test_an_empty_cache_is_a_miss_unless_the_client_resumes() -> None:
    """Who has missed nothing is not sent to ask the application."""
    hub = make_hub()
    assert len(resume(make_session(hub), "cache-a", {STREAM: 0})) == 1
    heard = resume(make_session(hub, socket_id="2.0"), "cache-a", {})
    assert [message["event"] for message in heard[1:]] == ["pusher:cache_miss"]


def test_who_caused_an_event_gets_it_when_it_resumes() -> None:
    """The exclusion is of one connection; the next one of the same client has another socket id."""
    hub = make_hub()
    old = make_session(hub, socket_id="1.0")
    resume(old, "a", {})
    assert written(deliver(hub, event("a", exclude="1.0")))[0][1] == set()
    assert len(resume(make_session(hub, socket_id="2.0"), "a", {STREAM: 0})) == 2


def test_events_of_an_app_that_is_not_known_yet_are_kept() -> None:
    """A node that hears of an app later than of its events does not take them for nothing."""
    hub = make_hub(App(id="other", key="other", secret="s"))
    deliver(hub, event("a", "cache-b"))
    hub.apply(Directory([APP]), 0)
    assert ids(resume(make_session(hub), "a", {STREAM: 0})[1:]) == [f"{STREAM}:1"]


def test_a_late_terminate_ends_only_who_was_there_before_it() -> None:
    """Of a message that was long on its way the time at its origin counts; of one without a time, its arrival."""
    hub = make_hub()
    for number, signed_in_at in ((1, 10.0), (2, 100.0)):
        hub.signed_in(make_session(hub, socket_id=f"{number}.0"), "u1", signed_in_at)
    terminate = Terminate(app=APP.id, user="u1")

    def hit(now: float, at: float) -> list[str]:
        return [socket for socket, close in closes(deliver(hub, terminate, now=now, at=round(at * 1000)))]

    assert hit(110, hub.time_of_day - 60) == ["1.0"]
    assert hit(110, hub.time_of_day - 200) == []
    assert hit(110, hub.time_of_day) == hit(110, hub.time_of_day + 60) == ["1.0", "2.0"]
    assert hit(100.5, hub.time_of_day - 1) == ["1.0", "2.0"]
    assert closes(deliver(hub, terminate)) == []
    assert closes(deliver(hub, terminate, now=110)) == [
        ("1.0", close_codes.TERMINATED),
        ("2.0", close_codes.TERMINATED),
    ]


class Client:
    """A client as docs/client-protocol.md describes it; it counts what it gets of one channel."""

    def __init__(self, hub: PureHub) -> None:
        self.position: dict[str, int] = {}
        self.got: list[str] = []
        self.keys: set[str] = set()
        self._sockets = 0
        self.move(hub)

    def move(self, hub: PureHub, messages: int | None = None) -> None:
        """Connect to a node, as after the death of the former one; perhaps only some messages arrive."""
        self._sockets += 1
        self.hub, self.session = hub, make_session(hub, socket_id=f"{self._sockets}.0")
        for message in said(self.session, "pusher:subscribe", {"channel": "a", "position": self.position})[:messages]:
            self._take(message)

    def hear(self, hub: PureHub, effects: Any) -> None:
        """Take what a hub writes."""
        for message, sockets in written(effects):
            if hub is self.hub and self.session.socket_id in sockets:
                self._take(message)

    def _take(self, message: Any) -> None:
        if message["event"] == "pusher_internal:position":
            self.position = json.loads(message["data"])["position"]
        elif message["event"] == "pusher_internal:subscription_succeeded":
            data = json.loads(message["data"])
            assert data["recovered"] or not self.position
            if not data["recovered"]:
                self.position = data["position"]
        else:
            if message.get("key") not in self.keys:
                self.got.append(message["id"])
            self.keys |= {message["key"]} if "key" in message else set()
            stream, _, seq = message["id"].rpartition(":")
            self.position[stream] = int(seq)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_client_that_moves_between_nodes_gets_everything_once(data: st.DataObject) -> None:
    """However the nodes' streams come along, and wherever the client goes: each event once, of each stream in order."""
    streams = [f"n{number}~{number}" for number in range(1, 4)]
    hubs = [make_hub() for _ in range(3)]
    for hub in hubs:
        hub.known = dict.fromkeys(streams, 0)
    published: dict[str, list[Any]] = {stream: [] for stream in streams}
    client, now = Client(hubs[0]), 0.0

    def arrive(hub: PureHub, stream: str) -> None:
        seq = hub.known[stream] + 1
        if seq <= len(published[stream]):
            client.hear(hub, deliver(hub, published[stream][seq - 1], stream=stream, seq=seq, now=now))

    for _ in range(data.draw(st.integers(1, 40))):
        hub, stream = data.draw(st.sampled_from(hubs)), data.draw(st.sampled_from(streams))
        match data.draw(st.sampled_from(["publish", "arrive", "arrive", "move", "pass"])):
            case "publish":
                published[stream].append(event(data.draw(st.sampled_from(["a", "other"]))))
            case "arrive":
                arrive(hub, stream)
            case "move":
                client.hub.remove(client.session, now)
                client.move(hub, data.draw(st.integers(0, 4)))
                client.hub.remove(client.session, now)
                client.move(data.draw(st.sampled_from(hubs)))
            case _:
                now += 7
                for each in hubs:
                    client.hear(each, each.tick(now))
                    each.sweep(now)
    for stream in streams:
        while client.hub.known[stream] < len(published[stream]):
            arrive(client.hub, stream)
        expected = [f"{stream}:{seq}" for seq, each in enumerate(published[stream], 1) if each.channels == ["a"]]
        assert [each for each in client.got if each.startswith(stream)] == expected

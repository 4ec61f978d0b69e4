"""The client's half of the protocol, without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wsmesh.client.authorization import Authorization, signer
from wsmesh.client.items import Connected, Event, Problem, Refused, Subscribed
from wsmesh.client.protocol import PONG_TIMEOUT, Session, Step, unsubscription
from wsmesh.client.resume import Resume
from wsmesh.signature import channel_auth

KEY, SECRET = "key", "secret"


def frame(event: str, data: Any = None, **more: str) -> str:
    """A frame of the server; its data is encoded twice, as the protocol has it."""
    return json.dumps({"event": event, "data": json.dumps(data), **more})


def established(timeout: object = 30) -> str:
    return frame("pusher:connection_established", {"socket_id": "1.2", "activity_timeout": timeout})


def session(*channels: str, position: dict[str, int] | None = None) -> Session:
    """A session at time 0 that the server has not taken yet; `position` is a stored one."""
    resume = Resume()
    for channel in channels:
        resume.join(channel, position)
    return Session(channels, resume, 0)


def connected(*channels: str, position: dict[str, int] | None = None) -> Session:
    """A session that the server has taken at time 0."""
    found = session(*channels, position=position)
    found.received(established(), 0)
    return found


def sent(frames: list[str]) -> list[tuple[str, Any]]:
    return [(found["event"], found["data"]) for found in map(json.loads, frames)]


def test_channels_are_joined_when_the_server_took_the_connection() -> None:
    """Nothing is subscribed to before the socket id is known; then every channel is."""
    here = session("news")
    assert not here.join("sport")
    step = here.received(established(), 0)
    assert step.items == [Connected("1.2")]
    assert step.join == ["news", "sport"]
    assert here.socket_id == "1.2"


def test_a_channel_is_joined_later() -> None:
    """A channel that is added to an open connection is subscribed to at once."""
    assert connected().join("late")


def test_a_subscribe_says_the_position() -> None:
    """A subscribe asks for the position, or says the one that the client has."""
    assert sent([connected("news").subscription("news", None)]) == [
        ("pusher:subscribe", {"channel": "news", "position": {}})
    ]
    ((_, data),) = sent([connected("news", position={"n1~a": 3}).subscription("news", None)])
    assert data["position"] == {"n1~a": 3}


def test_a_subscribe_carries_the_proof() -> None:
    """What `authorize` gave goes with the subscribe."""
    here = connected("presence-a")
    ((_, data),) = sent([here.subscription("presence-a", Authorization("key:sig", "{}"))])
    assert data == {"channel": "presence-a", "position": {}, "auth": "key:sig", "channel_data": "{}"}
    ((_, data),) = sent([here.subscription("private-a", Authorization("key:sig"))])
    assert data == {"channel": "private-a", "position": {}, "auth": "key:sig"}


def test_private_channels_are_signed() -> None:
    """The proof for a private channel is the signature for this socket."""
    assert signer(KEY, SECRET)("1.2", "private-a") == (channel_auth(KEY, SECRET, "1.2", "private-a"), None)


def test_presence_channels_are_signed_with_a_member() -> None:
    """The proof for a presence channel says who joins, and the signature covers it."""
    auth, data = signer(KEY, SECRET, user_id="ada")("1.2", "presence-a")
    assert json.loads(data or "") == {"user_id": "ada"}
    assert auth == channel_auth(KEY, SECRET, "1.2", "presence-a", data)


def test_a_recovery_is_told() -> None:
    """The answer to a subscribe says whether anything is missing, and missed events are told once."""
    here = connected("news", position={"n1~a": 3})
    data = {"recovered": True, "position": {"n1~a": 5}}
    taken = here.received(frame("pusher_internal:subscription_succeeded", data, channel="news"), 1)
    assert taken.items == [Subscribed("news", True, {"n1~a": 3})]
    event = json.dumps({"event": "x", "channel": "news", "data": "4", "id": "n1~a:4"})
    assert here.received(event, 1).items == [Event("news", "x", "4", "n1~a:4")]
    assert here.received(event, 1) == Step()
    told = frame("pusher_internal:position", {"position": {"n1~a": 5}}, channel="news")
    assert here.received(told, 1) == Step()
    ((_, again),) = sent([here.subscription("news", None)])
    assert again["position"] == {"n1~a": 5}


def test_a_position_of_no_use_is_told_and_the_channel_joined_without() -> None:
    """A server that refuses the position is asked again without one, once; the loss is told with the answer."""
    here = connected("news", position={"n1~a": 3})
    refusal = frame(
        "pusher:subscription_error", {"type": "PositionError", "error": "no", "status": 400}, channel="news"
    )
    step = here.received(refusal, 1)
    assert step.items == [Problem(None, "the position in news is of no use: no")]
    assert step.join == ["news"]
    assert here.received(refusal, 1).items == [Refused("news", "no")]
    data = {"recovered": False, "position": {"n1~a": 9}}
    taken = here.received(frame("pusher_internal:subscription_succeeded", data, channel="news"), 1)
    assert taken.items == [Subscribed("news", False, {"n1~a": 9})]


def test_leaving_names_the_channel() -> None:
    """An unsubscribe names the channel."""
    assert sent([unsubscription("news")]) == [("pusher:unsubscribe", {"channel": "news"})]


def test_events_are_delivered() -> None:
    """An event arrives with its channel, name, data as published, and event id."""
    text = json.dumps({"event": "headline", "channel": "news", "data": '{"a": 1}', "id": "n1~x:7", "user_id": "u"})
    assert connected().received(text, 1).items == [Event("news", "headline", '{"a": 1}', "n1~x:7", "u")]


def test_events_of_other_servers_have_no_id() -> None:
    """An event without an id, or with data that is no string, is delivered too."""
    text = json.dumps({"event": "headline", "channel": "news", "data": {"a": [1]}})
    assert connected().received(text, 1).items == [Event("news", "headline", '{"a":[1]}')]
    assert connected().received('{"event":"x","channel":"news"}', 1).items == [Event("news", "x", "")]


def test_pings_are_answered() -> None:
    """The server's ping gets a pong, whether it carries data or not."""
    for text in ('{"event":"pusher:ping"}', '{"event":"pusher:ping","data":"{}"}', '{"event":"pusher:ping","data":{}}'):
        step = connected().received(text, 1)
        assert sent(step.send) == [("pusher:pong", {})]
        assert step.items == []


def test_answers_to_subscribes_are_told() -> None:
    """A subscription that was taken, or refused with its reason, is told."""
    here = connected()
    taken = frame("pusher_internal:subscription_succeeded", {}, channel="news")
    refused = frame("pusher:subscription_error", {"type": "AuthError", "error": "wrong", "status": 401}, channel="a")
    assert here.received(taken, 1).items == [Subscribed("news")]
    assert here.received(refused, 1).items == [Refused("a", "wrong")]
    assert here.received(frame("pusher:subscription_error", channel="a"), 1).items == [Refused("a", "no reason")]


@pytest.mark.parametrize("code", [4000, 4009, 4100, 4299])
def test_an_error_that_closes_ends_the_session(code: int) -> None:
    """An error from 4000 to 4299 is the end of the connection, with its code."""
    assert connected().received(frame("pusher:error", {"code": code, "message": "why"}), 1).close == (code, "why")


@pytest.mark.parametrize("code", [4301, None])
def test_an_error_that_does_not_close_is_told(code: int | None) -> None:
    """Any other error is told, and the connection goes on."""
    step = connected().received(frame("pusher:error", {"code": code, "message": "why"}), 1)
    assert step.items == [Problem(code, "why")]
    assert step.close is None


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"data":"x"}', '{"event":7}', '{"event":"x","channel":{}}'])
def test_what_is_no_frame_is_told(text: str) -> None:
    """A frame that is none of the protocol does not end the connection."""
    (item,) = connected().received(text, 1).items
    assert isinstance(item, Problem)
    assert item.message.startswith("the server sent what is no frame of the protocol: ")


@pytest.mark.parametrize("data", [None, "x", {}, {"socket_id": 7}])
def test_a_server_without_a_socket_id_is_left(data: object) -> None:
    """A server that gives no socket id is no Pusher server."""
    step = session().received(frame("pusher:connection_established", data), 0)
    assert step.close == (1002, "the server gave no socket id")
    assert step.items == []


def test_silence_is_answered_with_a_ping() -> None:
    """After the activity timeout one ping is sent; any frame is an answer."""
    here = connected()
    assert here.tick(29.9).send == []
    assert here.next_tick(20) == 10
    assert sent(here.tick(30).send) == [("pusher:ping", {})]
    assert here.tick(31).send == []
    assert here.next_tick(31) == 30 + PONG_TIMEOUT - 31
    here.received('{"event":"pusher:pong","data":{}}', 35)
    assert here.next_tick(35) == 30
    assert here.tick(30 + PONG_TIMEOUT).close is None


def test_silence_after_a_ping_ends_the_session() -> None:
    """A server that does not answer a ping is given up with 4201."""
    here = connected()
    here.tick(30)
    assert here.tick(30 + PONG_TIMEOUT - 0.1).close is None
    assert here.tick(30 + PONG_TIMEOUT).close == (4201, "no answer to a ping in 30 seconds")


@pytest.mark.parametrize("timeout", ["soon", 0, -1, None])
def test_a_useless_activity_timeout_is_ignored(timeout: object) -> None:
    """Without a sensible activity timeout of the server, the protocol's 120 seconds hold."""
    here = session()
    here.received(established(timeout), 0)
    assert here.next_tick(0) == 120

"""Subscribing to presence channels: what a client must show, what it is told, and every way to be refused."""

from __future__ import annotations

import json
from typing import Any

import pusher  # type: ignore[import-untyped]
import pytest

from tests.unit.wsnode_clients.pure import (
    APP,
    SOCKET,
    STREAM,
    PureHub,
    deliver,
    event,
    loop_back,
    make_hub,
    make_session,
    said,
    written,
)
from wsmesh.contract import App, AppLimits, ChannelRule
from wsmesh.signature import channel_auth, user_auth
from wsnode.domain.directory import Directory
from wsnode.domain.messages import Join, Leave, node_of
from wsnode.domain.session import Session
from wsnode.domain.transitions import Transition
from wsnode.domain.wire import Snapshot

ROOM = "presence-room"
BACKEND = pusher.Pusher(app_id="1", key=APP.key, secret=APP.secret)


def subscribe(
    session: Session, user: object = "1", info: object = None, *, name: str = ROOM, now: float = 0, **more: Any
) -> list[Any]:
    """Subscribe as the official library signs it; what was announced is published."""
    data = {"user_id": user} if info is None else {"user_id": user, "user_info": info}
    shown = BACKEND.authenticate(channel=name, socket_id=session.socket_id, custom_data=data)
    return said(session, "pusher:subscribe", {"channel": name, **shown, **more}, now)


def raw(session: Session, channel_data: object, *, name: str = ROOM) -> list[Any]:
    """Subscribe with a text that is signed as it is."""
    signed = channel_data if isinstance(channel_data, str) else None
    auth = channel_auth(APP.key, APP.secret, session.socket_id, name, signed)
    return said(session, "pusher:subscribe", {"channel": name, "auth": auth, "channel_data": channel_data})


def present(answer: dict[str, Any]) -> dict[str, Any]:
    """What an answer says of who is present."""
    assert answer["event"] == "pusher_internal:subscription_succeeded"
    told: dict[str, Any] = json.loads(answer["data"])["presence"]
    assert told["count"] == len(told["ids"]) == len(told["hash"])
    return told


def refused(answer: list[Any], name: str = ROOM) -> tuple[str, str, int]:
    """Type, text and status of the subscription error that is the whole answer."""
    [message] = answer
    assert (message["event"], message["channel"]) == ("pusher:subscription_error", name)
    data = json.loads(message["data"])
    return data["type"], data["error"], data["status"]


def told(hub: PureHub) -> list[tuple[Any, Any, set[str]]]:
    """What members are told when the hub's announcements come back: event, data and sockets."""
    return [
        (message["event"].removeprefix("pusher_internal:"), json.loads(message["data"]), sockets)
        for effects in loop_back(hub)
        for message, sockets in written(effects)
    ]


def sign_in(session: Session, user_data: dict[str, Any]) -> None:
    text = json.dumps(user_data)
    auth = user_auth(APP.key, APP.secret, session.socket_id, text)
    said(session, "pusher:signin", {"user_data": text, "auth": auth})


def test_the_answer_names_who_is_present() -> None:
    """Ids, infos and count, the client itself included, as the official library's data say it."""
    hub = make_hub()
    assert present(subscribe(make_session(hub, socket_id="1.0"), "ada", {"name": "Ä ☃"})[0]) == {
        "ids": ["ada"],
        "hash": {"ada": {"name": "Ä ☃"}},
        "count": 1,
    }
    loop_back(hub)
    second = subscribe(make_session(hub, socket_id="2.0"), "bob")[0]
    assert (second["channel"], sorted(present(second)["ids"])) == (ROOM, ["ada", "bob"])
    assert present(second)["hash"] == {"ada": {"name": "Ä ☃"}, "bob": {}}


def test_members_are_told_who_comes_and_goes() -> None:
    """Each of the others once, the one that comes not of itself."""
    hub = make_hub()
    one, two = make_session(hub, socket_id="1.0"), make_session(hub, socket_id="2.0")
    subscribe(one, "ada")
    assert hub.announcements == [Join(APP.id, ROOM, "ada")]
    assert told(hub) == [("member_added", {"user_id": "ada", "user_info": {}}, set())]
    subscribe(two, "bob", {"name": "Bob"})
    assert told(hub) == [("member_added", {"user_id": "bob", "user_info": {"name": "Bob"}}, {"1.0"})]
    said(two, "pusher:unsubscribe", {"channel": ROOM})
    assert hub.announcements == [Leave(APP.id, ROOM, "bob")]
    assert told(hub) == [("member_removed", {"user_id": "bob"}, {"1.0"})]
    hub.remove(one, 0)
    assert told(hub) == []
    assert hub.users(APP.id) == {}


def test_a_user_with_several_connections_is_one_member() -> None:
    """Only the first connection and the last are told and announced, and each sees the user once."""
    hub = make_hub()
    other = make_session(hub, socket_id="9.0")
    subscribe(other, "eve")
    loop_back(hub)
    sessions = [make_session(hub, socket_id=f"{number}.0") for number in range(3)]
    for session in sessions:
        assert sorted(present(subscribe(session, "ada")[0])["ids"]) == ["ada", "eve"]
    assert [(what, sockets) for what, _, sockets in told(hub)] == [("member_added", {"9.0"})]
    for session in sessions[:2]:
        hub.remove(session, 0)
    assert (hub.announcements, hub.users(APP.id)) == ([], {ROOM: ["eve", "ada"]})
    hub.remove(sessions[2], 0)
    assert told(hub) == [("member_removed", {"user_id": "ada"}, {"9.0"})]


def test_a_user_on_two_nodes_is_one_member() -> None:
    """It comes with the first node and goes with the last, and its own connections are told of neither."""
    hub = make_hub()
    hub.replace_node("n2", "n2~b", 0, Snapshot(), 0)
    ada, eve = make_session(hub, socket_id="1.0"), make_session(hub, socket_id="2.0")
    subscribe(eve, "eve")
    loop_back(hub)
    assert [
        sockets for _, sockets in written(deliver(hub, Join(APP.id, ROOM, "ada", '{"n":2}'), stream="n2~b", seq=1))
    ] == [{"2.0"}]
    assert present(subscribe(ada, "ada", {"n": 1})[0])["hash"]["ada"] == {"n": 2}
    assert told(hub) == []
    assert written(deliver(hub, Leave(APP.id, ROOM, "ada"), stream="n2~b", seq=2)) == []
    hub.remove(ada, 0)
    assert told(hub) == [("member_removed", {"user_id": "ada"}, {"2.0"})]


def test_the_members_of_a_dead_node_go_once() -> None:
    """Who was only there is removed when the node is forgotten; what comes of its stream later changes nothing."""
    hub = make_hub()
    session = make_session(hub)
    subscribe(session, "eve")
    loop_back(hub)
    both = [Join(APP.id, ROOM, "eve"), Join(APP.id, ROOM, "ada")]
    hub.replace_node("n2", "n2~b", 3, Snapshot(present=both), 0)
    gone = [(message["event"], message["data"]) for message, _ in written(hub.forget_node("n2", 0))]
    assert gone == [("pusher_internal:member_removed", '{"user_id":"ada"}')]
    assert written(hub.forget_node("n2", 0)) == []
    assert written(deliver(hub, Join(APP.id, ROOM, "bob"), stream="n2~b", seq=4)) == []
    assert hub.snapshot().present == [Join(APP.id, ROOM, "eve")]


def test_a_snapshot_tells_only_what_differs() -> None:
    """A peer that greets again makes nobody go and come."""
    hub = make_hub()
    subscribe(make_session(hub), "eve")
    loop_back(hub)
    ada, bob = Join(APP.id, ROOM, "ada"), Join(APP.id, ROOM, "bob")
    assert len(written(hub.replace_node("n2", "n2~b", 1, Snapshot(present=[ada, bob]), 0))) == 2
    assert written(hub.replace_node("n2", "n2~b", 2, Snapshot(present=[ada, bob]), 0)) == []
    [(message, _)] = written(hub.replace_node("n2", "n2~b", 3, Snapshot(present=[bob]), 0))
    assert (message["event"], message["data"]) == ("pusher_internal:member_removed", '{"user_id":"ada"}')


def test_a_user_that_reconnects_elsewhere_first_is_not_removed() -> None:
    """When its old node is forgotten it is still there."""
    hub = make_hub()
    subscribe(make_session(hub, socket_id="9.0"), "eve")
    hub.replace_node("n2", "n2~b", 1, Snapshot(present=[Join(APP.id, ROOM, "ada")]), 0)
    subscribe(make_session(hub), "ada")
    loop_back(hub)
    assert written(hub.forget_node("n2", 0)) == []


def test_observers_are_told_of_members() -> None:
    """With the user, on every node, also without subscribers here."""
    hub = make_hub()
    hub.replace_node("n2", "n2~b", 1, Snapshot(present=[Join(APP.id, ROOM, "ada")]), 0)
    hub.forget_node("n2", 0)
    assert hub.seen == [
        Transition("member_added", APP.id, ROOM, user="ada"),
        Transition("member_removed", APP.id, ROOM, user="ada"),
    ]


def test_a_resumed_subscription_is_told_who_is_present() -> None:
    """The answer has both the position and the members, and the missed events follow."""
    hub = make_hub()
    deliver(hub, event(ROOM, data="1"))
    deliver(hub, event(ROOM, data="2"))
    first, missed, _ = subscribe(make_session(hub), "ada", position={STREAM: 1})
    assert present(first)["ids"] == ["ada"]
    data = json.loads(first["data"])
    assert (data["recovered"], data["position"]) == (True, {STREAM: 2})
    assert missed["data"] == "2"


def test_a_presence_cache_channel_gives_its_last_event() -> None:
    """After the members; or a miss when there is none."""
    hub = make_hub()
    name = "presence-cache-room"
    answer = subscribe(make_session(hub, socket_id="1.0"), "ada", name=name)
    assert [present(answer[0])["ids"], answer[1]["event"]] == [["ada"], "pusher:cache_miss"]
    deliver(hub, event(name, data="last"))
    assert subscribe(make_session(hub, socket_id="2.0"), "bob", name=name)[1]["data"] == "last"


@pytest.mark.parametrize(
    ("user_id", "user"), [("ada", "ada"), (7, "7"), (0, "0"), (10**20, str(10**20)), ("ü ☃", "ü ☃")]
)
def test_user_ids_are_text(user_id: object, user: str) -> None:
    """A whole number, as some libraries send it, is the text of it."""
    assert present(subscribe(make_session(make_hub()), user_id)[0])["ids"] == [user]


@pytest.mark.parametrize("info", [{}, {"a": {"b": [1, None, 1.5]}}, "text", 7, [], None, True])
def test_user_info_is_any_json(info: object) -> None:
    """It is told as it came."""
    data = json.dumps({"user_id": "ada", "user_info": info})
    assert present(raw(make_session(make_hub()), data)[0])["hash"] == {"ada": info}


def test_who_signed_in_needs_no_channel_data() -> None:
    """The user's id and info are those of the sign-in, and the signature is that of a private channel."""
    hub = make_hub()
    session = make_session(hub)
    sign_in(session, {"id": "ada", "user_info": {"name": "Ada"}})
    assert present(raw(session, None)[0])["hash"] == {"ada": {"name": "Ada"}}


def test_channel_data_goes_before_the_sign_in() -> None:
    """An application may show a user differently in a channel."""
    session = make_session(make_hub())
    sign_in(session, {"id": "ada", "user_info": {"name": "Ada"}})
    assert present(subscribe(session, "masked")[0])["hash"] == {"masked": {}}


OBJECT = '"channel_data" must be a JSON object with a "user_id"'
NO_JSON = '"channel_data" is not valid JSON'
NO_ID = '"channel_data" needs a "user_id": a string or a whole number'
NOBODY = 'A presence channel needs "channel_data" with a "user_id", or a sign-in before'


@pytest.mark.parametrize(
    ("channel_data", "message"),
    [
        (None, NOBODY),
        ("", NO_JSON),
        ("{", NO_JSON),
        ("user", NO_JSON),
        ('{"user_id":"a","user_info":nil}', NO_JSON),
        ('{"user_id":"\\ud800"}', NO_JSON),
        ('{"user_id":"a","user_info":"\\ud800"}', NO_JSON),
        ('{"user_id":"a","user_info":1e999}', NO_JSON),
        ('{"user_id":"a","user_info":' + "[" * 5000 + "]" * 5000 + "}", NO_JSON),
        ("[]", OBJECT),
        ("null", OBJECT),
        ('"ada"', OBJECT),
        ("{}", NO_ID),
        ('{"user_id":""}', NO_ID),
        ('{"user_id":null}', NO_ID),
        ('{"user_id":1.5}', NO_ID),
        ('{"user_id":true}', NO_ID),
        ('{"user_id":{"id":1}}', NO_ID),
        ('{"user_id":"' + "x" * 129 + '"}', 'The "user_id" has 129 characters, at most 128 are allowed'),
        (
            json.dumps({"user_id": "a", "user_info": "x" * 1023}),
            'The "user_info" has 1025 bytes, at most 1024 are allowed on this channel',
        ),
        ({"user_id": "a"}, '"channel_data" must be a string: the JSON that was signed'),
        (7, '"channel_data" must be a string: the JSON that was signed'),
    ],
)
def test_wrong_members_are_refused(channel_data: object, message: str) -> None:
    """Whatever is wrong with the data, signed or not, is said, and nothing changes."""
    hub = make_hub()
    session = make_session(hub)
    assert refused(raw(session, channel_data)) == ("InvalidMember", message, 400)
    assert (hub.subscriptions, hub.announcements, session.channels) == (0, [], set())


def test_the_largest_member_is_allowed() -> None:
    """128 characters of id and 1,024 bytes of info are not too many."""
    assert present(subscribe(make_session(make_hub()), "x" * 128, "y" * 1022)[0])["ids"] == ["x" * 128]


def test_a_signed_in_user_must_fit_too() -> None:
    """A sign-in allows longer ids and larger infos than a presence channel."""
    session = make_session(make_hub())
    sign_in(session, {"id": "x" * 200})
    assert refused(raw(session, None)) == (
        "InvalidMember",
        'The "user_id" has 200 characters, at most 128 are allowed',
        400,
    )


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        (None, 'This channel needs "auth": the signature of the application'),
        ("", 'This channel needs "auth": the signature of the application'),
        ("key:00", 'The signature in "auth" is wrong for this socket id, channel and channel_data'),
        (
            channel_auth(APP.key, APP.secret, SOCKET, ROOM),
            'The signature in "auth" is wrong for this socket id, channel and channel_data',
        ),
        (
            channel_auth(APP.key, APP.secret, SOCKET, ROOM, '{"user_id":"2"}'),
            'The signature in "auth" is wrong for this socket id, channel and channel_data',
        ),
    ],
)
def test_the_signature_covers_the_data(auth: str | None, message: str) -> None:
    """A client cannot be another user than the application signed."""
    hub = make_hub()
    shown = {"channel": ROOM, "channel_data": '{"user_id":"1"}', "auth": auth}
    assert refused(said(make_session(hub), "pusher:subscribe", shown)) == ("AuthError", message, 401)
    assert hub.subscriptions == 0


def test_a_signature_over_data_does_not_open_the_channel_without_them() -> None:
    """Leaving the data out makes the signature wrong."""
    auth = channel_auth(APP.key, APP.secret, SOCKET, ROOM, '{"user_id":"1"}')
    assert refused(said(make_session(make_hub()), "pusher:subscribe", {"channel": ROOM, "auth": auth})) == (
        "AuthError",
        'The signature in "auth" is wrong for this socket id and channel',
        401,
    )


def small(members: int, **more: Any) -> App:
    """APP with at most so many members in a room."""
    rules = [ChannelRule(pattern="presence-*", presence_max_members=members, **more)]
    return App(id=APP.id, key=APP.key, secret=APP.secret, rules=rules, limits=AppLimits())


FULL = ("LimitReached", "This channel has 2 members already, as many as it may have", 403)


def test_a_full_channel_takes_no_more_users() -> None:
    """Members of all nodes count; who is a member comes in all the same, and a place that is free can be taken."""
    hub = make_hub(small(2))
    hub.replace_node("n2", "n2~b", 1, Snapshot(present=[Join(APP.id, ROOM, "ada")]), 0)
    second, third = make_session(hub, socket_id="1.0"), make_session(hub, socket_id="2.0")
    present(subscribe(second, "bob")[0])
    loop_back(hub)
    assert refused(subscribe(third, "eve")) == FULL
    for number, user in enumerate(("ada", "bob")):
        assert len(present(subscribe(make_session(hub, socket_id=f"{number}.9"), user)[0])["ids"]) == 2
    loop_back(hub)
    hub.forget_node("n2", 0)
    assert refused(subscribe(third, "eve")) == FULL
    hub.remove(next(each for each in hub.sessions_of(APP.id) if each.socket_id == "0.9"), 0)
    loop_back(hub)
    assert sorted(present(subscribe(third, "eve")[0])["ids"]) == ["bob", "eve"]


def test_the_limits_are_those_of_the_channels_rule() -> None:
    """A rule that changes counts for the next subscribe; who is there stays."""
    hub = make_hub(small(5, presence_max_user_bytes=10))
    assert refused(subscribe(make_session(hub), "a", {"name": "too long"})) == (
        "InvalidMember",
        'The "user_info" has 20 bytes, at most 10 are allowed on this channel',
        400,
    )
    for number in range(3):
        present(subscribe(make_session(hub, socket_id=f"{number}.0"), number)[0])
        loop_back(hub)
    hub.apply(Directory([small(2)]), 0)
    assert refused(subscribe(make_session(hub, socket_id="9.0"), "late"))[0] == "LimitReached"
    assert len(hub.users(APP.id)[ROOM]) == 3


def test_a_hundred_members_unless_a_rule_says_otherwise() -> None:
    """The limit that Pusher has."""
    hub = make_hub()
    there = [Join(APP.id, ROOM, str(number)) for number in range(100)]
    hub.replace_node(node_of("n2~b"), "n2~b", 1, Snapshot(present=there), 0)
    assert refused(subscribe(make_session(hub), "late"))[1:] == (
        "This channel has 100 members already, as many as it may have",
        403,
    )

"""What a client says, and what it hears: the protocol without any transport."""

from __future__ import annotations

import json
from typing import Any

import pusher  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.wsnode_clients.pure import (
    APP,
    SOCKET,
    answers,
    deliver,
    error,
    event,
    make_hub,
    make_session,
    said,
    subscribed,
    succeeded,
)
from wsmesh.contract import App, AppLimits
from wsmesh.signature import channel_auth, user_auth
from wsnode.domain import close_codes
from wsnode.domain.close_codes import Close
from wsnode.domain.directory import Directory
from wsnode.domain.session import MAX_USER_ID, Reply, new_socket_id

BACKEND = pusher.Pusher(app_id="1", key=APP.key, secret=APP.secret, encryption_master_key_base64="A" * 43 + "=")


def subscription_error(channel: str, kind: str, text: str, status: int) -> dict[str, Any]:
    data = json.dumps({"type": kind, "error": text, "status": status}, separators=(",", ":"))
    return {"event": "pusher:subscription_error", "channel": channel, "data": data}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The message is not valid JSON"),
        ("{", "The message is not valid JSON"),
        ('{"event":"pusher:ping"', "The message is not valid JSON"),
        ("[" * 30_000, "The message is not valid JSON"),
        ('{"event":"\\ud800"}', "The message is not valid JSON"),
        ("[]", 'A message is a JSON object with a string "event"'),
        ("null", 'A message is a JSON object with a string "event"'),
        ('{"data":{}}', 'A message is a JSON object with a string "event"'),
        ('{"event":7}', 'A message is a JSON object with a string "event"'),
        ('{"event":"hello"}', "Unknown event 'hello'"),
        ('{"event":"pusher:hello"}', "Unknown event 'pusher:hello'"),
        ('{"event":"pusher:subscribe"}', 'pusher:subscribe needs a "channel": a string of 1 to 164 characters'),
        (
            '{"event":"pusher:subscribe","data":{"channel":""}}',
            'pusher:subscribe needs a "channel": a string of 1 to 164 characters',
        ),
        (
            '{"event":"pusher:subscribe","data":{"channel":["a"]}}',
            'pusher:subscribe needs a "channel": a string of 1 to 164 characters',
        ),
        ('{"event":"pusher:subscribe","data":[]}', 'The "data" of pusher:subscribe must be an object'),
        ('{"event":"pusher:subscribe","data":"news"}', 'The "data" of pusher:subscribe must be an object'),
        ('{"event":"pusher:unsubscribe"}', 'pusher:unsubscribe needs a "channel": the name of a channel'),
        (
            '{"event":"pusher:unsubscribe","data":{"channel":"news"}}',
            "No current subscription to channel news",
        ),
        ('{"event":"pusher:signin"}', 'pusher:signin needs "auth" and "user_data", both strings'),
        (
            '{"event":"pusher:signin","data":{"auth":"a","user_data":{"id":"1"}}}',
            'pusher:signin needs "auth" and "user_data", both strings',
        ),
    ],
)
def test_a_wrong_message_is_answered_and_changes_nothing(text: str, message: str) -> None:
    """Whatever a client says wrong gets a `pusher:error` without a code, and the connection stays."""
    hub = make_hub()
    reply = make_session(hub).received(text, 0)
    assert (answers(reply), reply.close, hub.subscriptions) == ([error(message)], None, 0)


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_no_json_breaks_a_session(value: object) -> None:
    """Any JSON at all, also as the data of every event, gets an answer or silence, never an exception."""
    session = make_session(make_hub(), rate=1e9)
    session.received(json.dumps(value), 0)
    for name in ("subscribe", "unsubscribe", "signin", "ping", "pong"):
        for data in (value, {"channel": value}, {"auth": value, "user_data": value}):
            session.received(json.dumps({"event": f"pusher:{name}", "data": data}), 0)


@pytest.mark.parametrize("name", ["client-typing", "client-"])
def test_clients_do_not_publish(name: str) -> None:
    """A client event gets 4301 and goes nowhere, also on a channel that the client is subscribed to."""
    hub = make_hub()
    session = make_session(hub)
    subscribed(session, "news")
    reply = session.received(json.dumps({"event": name, "channel": "news", "data": "{}"}), 0)
    text = "Clients do not publish here; publish through the HTTP API"
    assert (answers(reply), reply.close) == ([error(text, 4301)], None)


def test_a_ping_is_answered() -> None:
    """`pusher:ping` gets `pusher:pong`, with an object as data, none at all, or a string; a pong gets nothing."""
    session = make_session(make_hub())
    forms: list[object] = [{}, None, "", "{}"]
    for data in forms:
        assert said(session, "pusher:ping", data) == [{"event": "pusher:pong", "data": "{}"}]
    assert said(session, "pusher:pong", {}) == []


def test_subscribe_and_unsubscribe() -> None:
    """A public channel needs nothing; the second subscribe is an error, and so is the second unsubscribe."""
    hub = make_hub()
    session = make_session(hub)
    assert said(session, "pusher:subscribe", {"channel": "news", "auth": ""}) == [succeeded("news")]
    assert said(session, "pusher:subscribe", {"channel": "news"}) == [error("Existing subscription to channel news")]
    assert (hub.subscriptions, hub.channel_counts("shop")) == (1, {"news": 1})
    assert said(session, "pusher:unsubscribe", {"channel": "news"}) == []
    assert said(session, "pusher:unsubscribe", {"channel": "news"}) == [
        error("No current subscription to channel news")
    ]
    assert (hub.subscriptions, hub.channel_counts("shop")) == (0, {})


def test_data_may_be_a_json_string() -> None:
    """Libraries that encode the data of what they send twice are understood."""
    session = make_session(make_hub())
    assert said(session, "pusher:subscribe", '{"channel":"news"}') == [succeeded("news")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 165, "The channel name has 165 characters, at most 164 are allowed"),
        ("with space", "A channel name may only have the characters A-Z a-z 0-9 _ - = @ , . ;"),
        ("ümlaut", "A channel name may only have the characters A-Z a-z 0-9 _ - = @ , . ;"),
        ("#other", "A channel name may only have the characters A-Z a-z 0-9 _ - = @ , . ;"),
        ("news\n", "A channel name may only have the characters A-Z a-z 0-9 _ - = @ , . ;"),
        ("private-ä", "A channel name may only have the characters A-Z a-z 0-9 _ - = @ , . ;"),
    ],
)
def test_a_wrong_channel_name_is_told_to_its_channel(name: str, message: str) -> None:
    """A name against the rules gets a `pusher:subscription_error` on the name that was asked for."""
    hub = make_hub()
    session = make_session(hub)
    assert said(session, "pusher:subscribe", {"channel": name}) == [
        subscription_error(name, "InvalidChannel", message, 400)
    ]
    assert hub.subscriptions == 0


def test_the_longest_channel_name_is_allowed() -> None:
    """164 characters are not too many."""
    subscribed(make_session(make_hub()), "a" * 164)


@pytest.mark.parametrize(
    "name", ["private-a", "private-encrypted-a", "private-cache-a", "private-encrypted-cache-a", "private-"]
)
def test_the_official_librarys_signatures_are_accepted(name: str) -> None:
    """What `pusher.authenticate` signs opens each kind of private channel."""
    auth = BACKEND.authenticate(channel=name, socket_id=SOCKET)
    assert said(make_session(make_hub()), "pusher:subscribe", {"channel": name, "auth": auth["auth"]})[0] == succeeded(
        name
    )


NO_AUTH = 'This channel needs "auth": the signature of the application'
BAD_AUTH = 'The signature in "auth" is wrong for this socket id and channel'


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        (None, NO_AUTH),
        ("", NO_AUTH),
        (7, NO_AUTH),
        ("key", BAD_AUTH),
        ("key:", BAD_AUTH),
        ("key:" + "0" * 64, BAD_AUTH),
        ("nökey:ä", BAD_AUTH),
        (channel_auth("other", APP.secret, SOCKET, "private-a"), BAD_AUTH),
        (channel_auth(APP.key, "other", SOCKET, "private-a"), BAD_AUTH),
        (channel_auth(APP.key, APP.secret, "1.2", "private-a"), BAD_AUTH),
        (channel_auth(APP.key, APP.secret, SOCKET, "private-b"), BAD_AUTH),
        (channel_auth(APP.key, APP.secret, SOCKET, "private-a").upper(), BAD_AUTH),
    ],
)
@pytest.mark.parametrize("name", ["private-a", "private-encrypted-a", "private-cache-a"])
def test_a_private_channel_stays_shut_without_its_signature(name: str, auth: object, message: str) -> None:
    """No signature, or one for another key, secret, socket or channel, gets a 401 on the channel."""
    hub = make_hub()
    assert said(make_session(hub), "pusher:subscribe", {"channel": name, "auth": auth}) == [
        subscription_error(name, "AuthError", message, 401)
    ]
    assert hub.subscriptions == 0


def test_a_changed_secret_signs_from_then_on() -> None:
    """After a new configuration, signatures of the new secret are right and those of the old one wrong."""
    hub = make_hub()
    session = make_session(hub)
    hub.apply(Directory([App(id=APP.id, key=APP.key, secret="new")]), 0)
    old = {"channel": "private-a", "auth": channel_auth(APP.key, APP.secret, SOCKET, "private-a")}
    assert said(session, "pusher:subscribe", old)[0]["event"] == "pusher:subscription_error"
    new = old | {"auth": channel_auth(APP.key, "new", SOCKET, "private-a")}
    assert said(session, "pusher:subscribe", new) == [succeeded("private-a")]


def test_a_connection_has_a_limit_of_channels() -> None:
    """One channel more than the app allows is refused, until another is given up."""
    app = App(id="shop", key="key", secret="s", limits=AppLimits(max_channels_per_connection=2))
    session = make_session(make_hub(app), app=app)
    subscribed(session, "a", "b")
    assert said(session, "pusher:subscribe", {"channel": "c"}) == [
        subscription_error("c", "LimitReached", "A connection may subscribe to at most 2 channels", 403)
    ]
    said(session, "pusher:unsubscribe", {"channel": "a"})
    subscribed(session, "c")


@pytest.mark.parametrize("name", ["cache-a", "kept-a"])
def test_a_cache_channel_gives_its_last_event(name: str) -> None:
    """By its name or by a rule: after the success comes a cache miss, or the last event."""
    hub = make_hub()
    first, second = make_session(hub), make_session(hub, socket_id="2.2")
    miss = {"event": "pusher:cache_miss", "channel": name}
    assert said(first, "pusher:subscribe", {"channel": name}) == [succeeded(name), miss]
    deliver(hub, event(name, data="old"), seq=1)
    deliver(hub, event(name, data="new"), seq=2)
    last = {"event": "news", "channel": name, "data": "new", "id": "n1~a:2"}
    assert said(second, "pusher:subscribe", {"channel": name}) == [succeeded(name), last]


def signin(user_data: str, auth: str | None = None) -> dict[str, str]:
    return {"user_data": user_data, "auth": auth or user_auth(APP.key, APP.secret, SOCKET, user_data)}


def test_signin_as_the_official_library_signs_it() -> None:
    """The user data come back, and the user's own channel opens to this user alone."""
    hub = make_hub()
    session = make_session(hub)
    own = {"channel": "#server-to-user-u1"}
    refused = subscription_error(
        "#server-to-user-u1", "AuthError", "Only the signed-in user itself may subscribe to this channel", 401
    )
    assert said(session, "pusher:subscribe", own) == [refused]
    signed = BACKEND.authenticate_user(SOCKET, {"id": "u1", "user_info": {"name": "Ü"}})
    data = json.dumps({"user_data": signed["user_data"]}, separators=(",", ":"), ensure_ascii=False)
    assert said(session, "pusher:signin", signed) == [{"event": "pusher:signin_success", "data": data}]
    assert said(session, "pusher:subscribe", own) == [succeeded("#server-to-user-u1")]
    other = {"channel": "#server-to-user-u2"}
    assert said(session, "pusher:subscribe", other) == [refused | {"channel": "#server-to-user-u2"}]


@pytest.mark.parametrize("auth", ["key:" + "0" * 64, "x", user_auth(APP.key, APP.secret, "1.1", '{"id":"u1"}')])
def test_a_wrong_signin_ends_the_connection(auth: str) -> None:
    """A wrong signature of a user closes with 4009, so that the client does not come back with it."""
    session = make_session(make_hub())
    reply = session.received(json.dumps({"event": "pusher:signin", "data": signin('{"id":"u1"}', auth)}), 0)
    assert reply == Reply([], Close(4009, "The signature of pusher:signin is wrong"))
    assert session.user is None


@pytest.mark.parametrize("user_data", ["", "{}", "[]", "x", '{"id":7}', '{"id":""}', '{"id":"%s"}' % ("u" * 201)])
def test_a_signin_without_a_proper_id_is_refused(user_data: str) -> None:
    """User data that are signed but no object with an id sign nobody in."""
    session = make_session(make_hub())
    text = f'"user_data" must be a JSON object with an "id" of 1 to {MAX_USER_ID} characters'
    assert said(session, "pusher:signin", signin(user_data)) == [error(text)]
    assert session.user is None


def test_signing_in_again() -> None:
    """The same user may sign in again; another one may not on the same connection."""
    session = make_session(make_hub())
    assert said(session, "pusher:signin", signin('{"id":"u1"}'))[0]["event"] == "pusher:signin_success"
    assert said(session, "pusher:signin", signin('{"id":"u1"}'))[0]["event"] == "pusher:signin_success"
    assert said(session, "pusher:signin", signin('{"id":"u2"}')) == [
        error("This connection is signed in as another user")
    ]
    assert session.user == "u1"


def test_the_rate_of_messages() -> None:
    """A burst of five seconds' worth passes, then only the rate does."""
    session = make_session(make_hub(), rate=2)
    assert [session.allows(0) for _ in range(11)] == [True] * 10 + [False]
    assert [session.allows(0.5), session.allows(0.5)] == [True, False]
    assert [session.allows(1000) for _ in range(11)] == [True] * 10 + [False]


def test_a_session_whose_app_is_gone_ends() -> None:
    """Between a new configuration and the close of its connections, nothing of the old one is done."""
    hub = make_hub()
    session = make_session(hub)
    hub.apply(Directory([]), 0)
    assert session.received('{"event":"pusher:ping"}', 0) == Reply([], close_codes.UNKNOWN_APP)


def test_socket_ids_have_pushers_form() -> None:
    """Two numbers with a dot between them, made of the random bits that are given."""
    bits = iter([7, 2**31 - 1])
    assert new_socket_id(lambda number: next(bits) if number == 31 else 0) == "7.2147483647"


def test_every_reason_fits_into_a_close_frame() -> None:
    """A close frame holds at most 123 bytes of reason."""
    codes = [value for value in vars(close_codes).values() if isinstance(value, Close)]
    assert len(codes) > 15
    assert max(len(close.reason.encode()) for close in codes) <= 123

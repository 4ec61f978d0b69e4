"""Who gets what."""

from __future__ import annotations

import pytest

from tests.unit.wsnode_clients.pure import (
    APP,
    STREAM,
    closes,
    deliver,
    event,
    make_hub,
    make_session,
    said,
    subscribed,
    succeeded,
    written,
)
from wsmesh.contract import App, AppLimits, ChannelRule
from wsmesh.signature import user_auth
from wsnode.domain import close_codes
from wsnode.domain.directory import Directory
from wsnode.domain.last_events import Last, LastEvents
from wsnode.domain.messages import SubscriptionCount, Terminate


def test_an_event_goes_to_the_subscribers_of_each_of_its_channels() -> None:
    """Each channel's subscribers get the event once for each channel, with the event id; others get nothing."""
    hub = make_hub()
    one, two, three = (make_session(hub, socket_id=f"{n}.0") for n in (1, 2, 3))
    subscribed(one, "a", "b")
    subscribed(two, "b")
    subscribed(three, "c")
    common = {"event": "news", "data": '{"x":"ü"}', "id": "n2~z:5"}
    assert written(deliver(hub, event("a", "b", "d", data='{"x":"ü"}'), seq=5, stream="n2~z")) == [
        (common | {"channel": "a"}, {"1.0"}),
        (common | {"channel": "b"}, {"1.0", "2.0"}),
    ]


def test_who_caused_an_event_does_not_get_it_back() -> None:
    """The socket id that a publish excludes is left out, wherever it is connected."""
    hub = make_hub()
    one, two = make_session(hub, socket_id="1.0"), make_session(hub, socket_id="2.0")
    subscribed(one, "a")
    subscribed(two, "a")
    assert [sockets for _, sockets in written(deliver(hub, event("a", exclude="1.0")))] == [{"2.0"}]
    assert [sockets for _, sockets in written(deliver(hub, event("a", exclude="9.9")))] == [{"1.0", "2.0"}]


def test_apps_are_kept_apart() -> None:
    """The same channel of two apps is two channels, and an unknown app's event goes nowhere."""
    other = App(id="other", key="other", secret="s")
    hub = make_hub(APP, other)
    subscribed(make_session(hub, socket_id="1.0"), "a")
    subscribed(make_session(hub, app=other, socket_id="2.0"), "a")
    assert [sockets for _, sockets in written(deliver(hub, event("a")))] == [{"1.0"}]
    hub.apply(Directory([other]), 0)
    assert written(deliver(hub, event("a"))) == []


def test_a_session_that_left_gets_nothing() -> None:
    """Removing a session ends its subscriptions, and leaves no trace of channels and users."""
    hub = make_hub()
    session = make_session(hub)
    subscribed(session, "a", "cache-b")
    hub.signed_in(session, "u1", 0)
    hub.remove(session, 0)
    assert written(deliver(hub, event("a", "cache-b"))) == []
    assert closes(deliver(hub, Terminate(app=APP.id, user="u1"))) == []
    assert (hub.subscriptions, hub.connections_by_app(), hub.channel_counts(APP.id)) == (0, {}, {})


def test_terminate_ends_all_connections_of_a_user() -> None:
    """Every connection of the signed-in user is closed with 4009, and nobody else's."""
    hub = make_hub()
    for socket, user in (("1.0", "u1"), ("2.0", "u1"), ("3.0", "u2")):
        data = f'{{"id":"{user}"}}'
        auth = user_auth(APP.key, APP.secret, socket, data)
        said(make_session(hub, socket_id=socket), "pusher:signin", {"user_data": data, "auth": auth})
    assert closes(deliver(hub, Terminate(app=APP.id, user="u1"))) == [
        ("1.0", close_codes.TERMINATED),
        ("2.0", close_codes.TERMINATED),
    ]
    assert closes(deliver(hub, Terminate(app="other", user="u1"))) == []


def test_counts_of_channels() -> None:
    """Counts are found by prefix or by name; users' own channels are not listed with the others."""
    hub = make_hub()
    one, two = make_session(hub, socket_id="1.0"), make_session(hub, socket_id="2.0")
    subscribed(one, "news-a", "other")
    subscribed(two, "news-a")
    hub.subscribe(one, APP, "#server-to-user-1", 0)
    assert hub.channel_counts(APP.id) == {"news-a": 2, "other": 1}
    assert hub.channel_counts(APP.id, "news-") == {"news-a": 2}
    assert hub.channel_counts(APP.id, "#server-to-user-") == {"#server-to-user-1": 1}
    assert hub.channel_counts(APP.id, channels=["other", "none", "#server-to-user-1"]) == {
        "other": 1,
        "#server-to-user-1": 1,
    }
    assert hub.channel_counts("none") == {}


def test_a_cache_channel_remembers_without_subscribers() -> None:
    """A node nobody listens at knows the last event all the same, for who comes later."""
    hub = make_hub()
    deliver(hub, event("cache-a", "plain", data="1"))
    assert said(make_session(hub), "pusher:subscribe", {"channel": "cache-a"})[1]["data"] == "1"
    assert hub.last_event(APP.id, "plain") is None


@pytest.mark.parametrize(("limits", "kept"), [((2, 1000), ["b", "c"]), ((10, 20), ["b", "c"]), ((10, 5), [])])
def test_last_events_are_bounded(limits: tuple[int, int], kept: list[str]) -> None:
    """Beyond the number or the bytes, the events unused for longest go; one that never fits is not kept."""
    last = LastEvents(*limits)
    for channel in "abc":
        last.put(channel, Last(b"x" * 10, STREAM, 1, 0))
    assert [channel for channel in "abc" if last.get(channel)] == kept
    assert last.bytes == 10 * len(kept)


def test_a_last_event_in_use_stays() -> None:
    """Reading and replacing an event keep it from being the one that goes."""
    last = LastEvents(max_events=2)
    last.put("a", Last(b"1", STREAM, 1, 0))
    last.put("b", Last(b"2", STREAM, 2, 0))
    last.get("a")
    last.put("c", Last(b"33", STREAM, 3, 0))
    last.put("a", Last(b"4444", STREAM, 4, 0))
    kept = [(each := last.get(channel)) and each.frame for channel in "abc"]
    assert (kept, last.bytes, len(last)) == ([b"4444", None, b"33"], 6, 2)


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (("n1~a", 1, 5), ("n2~b", 9, 6), "second"),
        (("n1~a", 9, 6), ("n2~b", 1, 5), "first"),
        (("n1~a", 1, 5), ("n2~b", 1, 5), "second"),
        (("n2~b", 1, 5), ("n1~a", 1, 5), "first"),
        (("n1~a", 1, 6), ("n1~a", 2, 5), "second"),
    ],
)
def test_the_later_of_two_events_is_the_last_one(
    first: tuple[str, int, int], second: tuple[str, int, int], kept: str
) -> None:
    """By the time at their origins, so that all nodes keep the same one; within a stream by number."""
    last = LastEvents()
    last.put("a", Last(b"first", *first))
    last.put("a", Last(b"second", *second))
    there = last.get("a")
    assert there is not None
    assert there.frame == kept.encode()


def changed(**fields: object) -> App:
    values = {"id": APP.id, "key": APP.key, "secret": APP.secret} | fields
    return App(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("apps", "close"),
    [
        ([], close_codes.UNKNOWN_APP),
        ([changed(key="new")], close_codes.UNKNOWN_APP),
        ([changed(enabled=False)], close_codes.APP_DISABLED),
        ([changed(secret="new")], None),
        ([changed(limits=AppLimits(max_connections=1))], None),
    ],
)
def test_a_new_configuration_closes_whom_it_no_longer_lets_in(apps: list[App], close: close_codes.Close | None) -> None:
    """Connections of an app that is gone, has another key or is disabled end; those of a changed app stay."""
    other = App(id="other", key="other", secret="s")
    hub = make_hub(APP, other)
    make_session(hub, socket_id="1.0")
    make_session(hub, app=other, socket_id="2.0")
    assert closes(hub.apply(Directory([*apps, other]), 0)) == ([("1.0", close)] if close else [])


def test_rules_that_change_count_for_channels_that_are_open() -> None:
    """A channel begins to be cached and counted with the rule that says so, and ends with it."""
    hub = make_hub(changed())
    session = make_session(hub)
    subscribed(session, "a")
    deliver(hub, event("a"))
    assert hub.last_event(APP.id, "a") is None
    hub.apply(Directory([changed(rules=[ChannelRule(pattern="a", cache=True, subscription_count=True)])]), 0)
    assert hub.announcements == [SubscriptionCount(APP.id, "a", 1)]
    deliver(hub, event("a", data="kept"))
    second = make_session(hub, socket_id="2.0")
    assert said(second, "pusher:subscribe", {"channel": "a"})[1]["data"] == "kept"
    hub.announcements.clear()
    hub.apply(Directory([changed()]), 0)
    assert hub.announcements == [SubscriptionCount(APP.id, "a", 0)]
    assert hub.last_event(APP.id, "a") is None
    assert said(make_session(hub, socket_id="3.0"), "pusher:subscribe", {"channel": "a"}) == [succeeded("a")]


def test_an_apps_limit_counts_the_whole_cluster() -> None:
    """Other nodes' connections count until the node is forgotten; no limit is never reached."""
    app = changed(limits=AppLimits(max_connections=3))
    hub = make_hub(app)
    make_session(hub, app=app)
    hub.set_remote_connections("n2", {APP.id: 1, "other": 9})
    assert not hub.is_full(app)
    hub.set_remote_connections("n3", {APP.id: 1})
    assert hub.is_full(app)
    assert not hub.is_full(changed())
    hub.forget_node("n3", 0)
    assert not hub.is_full(app)

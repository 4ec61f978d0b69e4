"""What an observer of a hub is told of channels."""

from __future__ import annotations

import pytest

from tests.unit.wsnode_clients.pure import APP, PureHub, deliver, loop_back, make_hub, make_session, said, subscribed
from wsmesh.contract import App
from wsnode.domain.directory import Directory
from wsnode.domain.messages import SubscriptionCount
from wsnode.domain.transitions import Transition
from wsnode.domain.wire import Snapshot


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> PureHub:
    """A hub that somebody watches the channels `watched-*` and `counted-*` of, and that knows a peer."""
    prefixes = ("watched-", "counted-")
    monkeypatch.setattr(Directory, "is_watched", lambda _, __, name: name.startswith(prefixes))
    hub = make_hub()
    hub.replace_node("n2", "n2~b", 0, Snapshot(), 0)
    return hub


def seen(hub: PureHub) -> list[tuple[str, str]]:
    """What was observed since the last look."""
    loop_back(hub)
    there, hub.seen[:] = list(hub.seen), []
    return [(each.kind, each.channel) for each in there]


def remote(hub: PureHub, number: int, channel: str) -> None:
    deliver(hub, SubscriptionCount(APP.id, channel, number), stream="n2~b")


def test_a_channel_is_occupied_once_and_vacated_once(hub: PureHub) -> None:
    """However many subscribers come and go on however many nodes, the first and the last in the cluster count."""
    one, two = make_session(hub, socket_id="1.0"), make_session(hub, socket_id="2.0")
    subscribed(one, "watched-a")
    assert seen(hub) == [("channel_occupied", "watched-a")]
    subscribed(two, "watched-a")
    remote(hub, 1, "watched-a")
    hub.remove(one, 0)
    hub.remove(two, 0)
    assert seen(hub) == []
    remote(hub, 0, "watched-a")
    assert seen(hub) == [("channel_vacated", "watched-a")]


def test_a_watched_channel_costs_a_message_for_its_first_and_last_subscriber_here(hub: PureHub) -> None:
    """Those in between are not announced, and the subscribers are told no number."""
    sessions = [make_session(hub, socket_id=f"{number}.0") for number in range(3)]
    for session in sessions:
        subscribed(session, "watched-a")
    assert hub.announcements == [SubscriptionCount(APP.id, "watched-a", 1)]
    assert [effects.deliveries for effects in loop_back(hub)] == [[]]
    for session in sessions:
        hub.remove(session, 0)
    assert hub.announcements == [SubscriptionCount(APP.id, "watched-a", 0)]


def test_channels_that_nobody_watches_cost_nothing(hub: PureHub) -> None:
    """They are neither announced nor observed."""
    subscribed(make_session(hub), "plain")
    assert (hub.announcements, seen(hub)) == ([], [])


def test_a_node_that_is_forgotten_vacates_what_it_alone_held(hub: PureHub) -> None:
    """Its other channels stay occupied."""
    subscribed(make_session(hub), "watched-both")
    remote(hub, 1, "watched-both")
    remote(hub, 1, "watched-gone")
    seen(hub)
    hub.forget_node("n2", 0)
    hub.forget_node("n2", 0)
    assert seen(hub) == [("channel_vacated", "watched-gone")]


def test_a_snapshot_that_repeats_what_is_known_changes_nothing(hub: PureHub) -> None:
    """Only what a snapshot adds is occupied, and what it lacks is vacated."""
    remote(hub, 1, "watched-stays")
    remote(hub, 1, "watched-goes")
    seen(hub)
    counts = [SubscriptionCount(APP.id, name, 1) for name in ("watched-stays", "watched-comes")]
    hub.replace_node("n2", "n2~b", 9, Snapshot(counts=counts), 0)
    assert sorted(seen(hub)) == [("channel_occupied", "watched-comes"), ("channel_vacated", "watched-goes")]


def test_numbers_that_subscribers_are_told_are_observed(hub: PureHub) -> None:
    """Also on a node that has no subscribers of the channel."""
    remote(hub, 7, "counted-a")
    assert hub.seen == [
        Transition("channel_occupied", APP.id, "counted-a"),
        Transition("subscription_count", APP.id, "counted-a", number=7),
    ]


def test_a_miss_is_observed_where_it_happens(hub: PureHub) -> None:
    """Subscribing to a cache channel without a last event is a cache miss."""
    said(make_session(hub), "pusher:subscribe", {"channel": "cache-a"})
    assert hub.seen == [Transition("cache_miss", APP.id, "cache-a")]


def test_a_channel_that_begins_to_be_watched_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that watches a channel makes it occupied, one that does not makes it vacated."""
    hub = make_hub()
    subscribed(make_session(hub), "a")
    watched: list[App] = []
    monkeypatch.setattr(Directory, "is_watched", lambda _, app, __: app in watched)
    watched.append(APP)
    hub.apply(Directory([APP]), 0)
    assert seen(hub) == [("channel_occupied", "a")]
    watched.clear()
    hub.apply(Directory([APP]), 0)
    assert seen(hub) == [("channel_vacated", "a")]

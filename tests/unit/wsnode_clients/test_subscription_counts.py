"""Subscription counts of the whole cluster."""

from __future__ import annotations

from tests.unit.wsnode_clients import pure
from tests.unit.wsnode_clients.pure import APP, deliver, event, make_hub, make_session, said, subscribed, written
from wsnode.domain.hub import Effects, Hub
from wsnode.domain.messages import SubscriptionCount, node_of
from wsnode.domain.wire import Snapshot

CHANNEL = "counted-a"


def count(number: int, channel: str = CHANNEL) -> SubscriptionCount:
    return SubscriptionCount(APP.id, channel, number)


def told(effects: Effects) -> list[str]:
    return [
        message["data"] for message, _ in written(effects) if message["event"] == "pusher_internal:subscription_count"
    ]


def loop_back(hub: Hub, now: float = 0) -> list[str]:
    """What subscribers are told of the hub's own announcements."""
    return [data for effects in pure.loop_back(hub, now) for data in told(effects)]


def met(hub: Hub, *streams: str) -> None:
    """Other nodes said that these are their streams, and that they have no subscribers."""
    for stream in streams:
        hub.replace_node(node_of(stream), stream, 0, Snapshot(), 0)


def join(hub: Hub, number: int, now: float = 0) -> None:
    for _ in range(number):
        subscribed(make_session(hub, socket_id=f"{hub.subscriptions}.1"), CHANNEL, now=now)


def test_subscribers_hear_their_number() -> None:
    """A join and a leave are announced, and the announcement tells the subscribers."""
    hub = make_hub()
    join(hub, 1)
    assert loop_back(hub) == ['{"subscription_count":1}']
    two = make_session(hub, socket_id="9.9")
    subscribed(two, CHANNEL)
    assert hub.announcements == [count(2)]
    assert loop_back(hub) == ['{"subscription_count":2}']
    said(two, "pusher:unsubscribe", {"channel": CHANNEL})
    assert loop_back(hub) == ['{"subscription_count":1}']


def test_the_message_that_tells_a_number() -> None:
    """`pusher_internal:subscription_count` has the form that Pusher's libraries read."""
    hub = make_hub()
    join(hub, 1)
    message, sockets = written(deliver(hub, count(1)))[0]
    assert message == {
        "event": "pusher_internal:subscription_count",
        "channel": CHANNEL,
        "data": '{"subscription_count":1}',
    }
    assert sockets == {"0.1"}


def test_only_channels_with_the_rule_are_counted() -> None:
    """Other channels announce nothing."""
    hub = make_hub()
    subscribed(make_session(hub), "plain")
    assert hub.announcements == []


def test_the_number_is_that_of_all_nodes() -> None:
    """Numbers of other nodes are added; a node that is forgotten takes its own away."""
    hub = make_hub()
    met(hub, "n2~b", "n3~c")
    join(hub, 1)
    loop_back(hub)
    assert told(deliver(hub, count(4), stream="n2~b")) == ['{"subscription_count":5}']
    assert told(deliver(hub, count(4), stream="n2~b")) == []
    assert told(deliver(hub, count(2), stream="n3~c")) == ['{"subscription_count":7}']
    assert told(deliver(hub, count(0), stream="n3~c")) == ['{"subscription_count":5}']
    assert told(hub.forget_node("n2", 0)) == ['{"subscription_count":1}']
    assert told(hub.forget_node("n2", 0)) == []


def test_a_new_peer_gets_this_nodes_numbers_alone() -> None:
    """The snapshot for a peer holds what this node announced, not what others did."""
    hub = make_hub()
    met(hub, "n2~b")
    join(hub, 2)
    loop_back(hub)
    deliver(hub, count(4), stream="n2~b")
    deliver(hub, count(4, "counted-z"), stream="n2~b")
    assert hub.snapshot().counts == [count(2)]


def test_a_peers_snapshot_replaces_what_was_known_of_it() -> None:
    """What a peer no longer counts is gone, what it counts now is known, and subscribers hear the sum once."""
    hub = make_hub()
    met(hub, "n2~b", "n3~c")
    join(hub, 1)
    loop_back(hub)
    deliver(hub, count(4), stream="n2~b")
    assert told(hub.replace_node("n2", "n2~b", 5, Snapshot(counts=[count(6)]), 0))[-1:] == ['{"subscription_count":7}']
    assert told(hub.replace_node("n2", "n2~b", 6, Snapshot(), 0)) == ['{"subscription_count":1}']


def test_above_a_hundred_the_number_is_told_every_five_seconds() -> None:
    """With many subscribers a change waits for the tick, on the sending and on the receiving side."""
    hub = make_hub()
    met(hub, "n2~b")
    join(hub, 100)
    assert loop_back(hub)[-1] == '{"subscription_count":100}'
    join(hub, 1, now=10)
    assert loop_back(hub, now=10) == ['{"subscription_count":101}']
    join(hub, 20, now=11)
    assert loop_back(hub, now=11) == []
    assert told(hub.tick(14.9)) == []
    assert hub.announcements == []
    hub.tick(15)
    assert hub.announcements == [count(121)]
    assert loop_back(hub, now=15) == ['{"subscription_count":121}']
    assert told(deliver(hub, count(9), stream="n2~b", now=16)) == []
    assert told(deliver(hub, count(8), stream="n2~b", now=17)) == []
    assert told(hub.tick(20)) == ['{"subscription_count":129}']
    assert told(hub.tick(26)) == []


def test_a_channel_that_empties_is_announced_and_forgotten() -> None:
    """The last leave announces zero, and nothing stays of the channel."""
    hub = make_hub()
    session = make_session(hub)
    subscribed(session, CHANNEL)
    loop_back(hub)
    hub.remove(session, 1)
    assert hub.announcements == [count(0)]
    loop_back(hub, now=1)
    assert (hub.counts.total((APP.id, CHANNEL)), hub.snapshot().counts) == (0, [])


def test_counting_does_not_disturb_events() -> None:
    """Events on a counted channel arrive as on any other."""
    hub = make_hub()
    join(hub, 1)
    assert [message["event"] for message, _ in written(deliver(hub, event(CHANNEL)))] == ["news"]


def test_only_the_present_run_of_a_node_counts() -> None:
    """Numbers of former streams, of unknown nodes, and those that a snapshot holds already are ignored."""
    hub = make_hub()
    join(hub, 1)
    loop_back(hub)
    assert told(deliver(hub, count(4), stream="n2~b", seq=1)) == []
    hub.replace_node("n2", "n2~b", 5, Snapshot(counts=[count(2)]), 0)
    assert told(deliver(hub, count(9), stream="n2~b", seq=5)) == []
    assert told(deliver(hub, count(9), stream="n2~a", seq=50)) == []
    assert told(deliver(hub, count(9), stream="n1~0", seq=50)) == []
    assert hub.counts.total((APP.id, CHANNEL)) == 3
    assert told(deliver(hub, count(3), stream="n2~b", seq=6)) == ['{"subscription_count":4}']
    hub.forget_node("n2", 0)
    assert told(deliver(hub, count(9), stream="n2~b", seq=7)) == []
    hub.replace_node("n2", "n2~c", 0, Snapshot(), 0)
    assert told(deliver(hub, count(9), stream="n2~b", seq=8)) == []
    assert told(deliver(hub, count(1), stream="n2~c", seq=1)) == ['{"subscription_count":2}']


def test_a_snapshot_that_comes_late_does_not_undo_what_followed_it() -> None:
    """A snapshot older than a number that was taken already changes no numbers."""
    hub = make_hub()
    met(hub, "n2~b")
    deliver(hub, count(4), stream="n2~b", seq=3)
    hub.replace_node("n2", "n2~b", 2, Snapshot(counts=[count(1)]), 0)
    assert hub.counts.total((APP.id, CHANNEL)) == 4

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wsnode.domain.messages import HookEvent
from wsnode.domain.webhook_queue import BACKOFF_MOST, BATCH, Queue, Waiting

RETRY = 300.0


def everything(_: HookEvent) -> bool:
    return True


def queue(share: float = 1.0) -> Queue:
    """A queue whose jitter always is this share of what it may be."""
    return Queue(RETRY, lambda low, high: low + (high - low) * share)


def events(number: int, first: int = 0) -> list[HookEvent]:
    return [HookEvent("channel_occupied", f"c{place}") for place in range(first, first + number)]


def filled(number: int, now: float = 0.0) -> Queue:
    there = queue()
    put(there, events(number), now)
    return there


def put(there: Queue, more: list[HookEvent], now: float = 0.0) -> None:
    """Put events in; the id of each says what it is."""
    for event in more:
        there.put(f"{event.name} {event.channel} {event.user} {event.number}", event, now)


def of(waiting: list[Waiting]) -> list[HookEvent]:
    return [one.event for one in waiting]


def body(raw: bytes) -> Any:
    return json.loads(raw)


def test_events_look_as_pusher_sends_them() -> None:
    """The body holds the time in milliseconds, and each event with what Pusher's libraries read."""
    there = queue()
    all_kinds = [
        HookEvent("channel_occupied", "a"),
        HookEvent("member_added", "presence-a", user="7"),
        HookEvent("member_removed", "presence-a", user="8"),
        HookEvent("subscription_count", "a", number=3),
        HookEvent("subscription_count", "a"),
        HookEvent("cache_miss", "cache-a", miss="n1~a:1"),
        HookEvent("channel_vacated", "a"),
    ]
    put(there, all_kinds)
    assert body(there.start(everything, 1_700_000_000_123)) == {
        "time_ms": 1_700_000_000_123,
        "events": [
            {"name": "channel_occupied", "channel": "a"},
            {"name": "member_added", "channel": "presence-a", "user_id": "7"},
            {"name": "member_removed", "channel": "presence-a", "user_id": "8"},
            {"name": "subscription_count", "channel": "a", "subscription_count": 3},
            {"name": "subscription_count", "channel": "a", "subscription_count": 0},
            {"name": "cache_miss", "channel": "cache-a"},
            {"name": "channel_vacated", "channel": "a"},
        ],
    }


def test_one_request_at_a_time() -> None:
    """What comes while a request is on its way waits for its answer, and goes with the next one."""
    there = filled(1)
    assert there.ready(0)
    there.start(everything, 0)
    put(there, [HookEvent("channel_vacated", "c0")])
    assert not there.ready(1e9)
    assert of(there.told()) == events(1)
    assert there.ready(0)
    assert [event["name"] for event in body(there.start(everything, 0))["events"]] == ["channel_vacated"]


def test_a_batch_has_a_bound() -> None:
    """One request carries BATCH events at most, the others follow in order."""
    there = filled(BATCH + 1)
    assert len(body(there.start(everything, 0))["events"]) == BATCH
    there.told()
    assert body(there.start(everything, 0))["events"] == [{"name": "channel_occupied", "channel": f"c{BATCH}"}]


def test_events_that_nobody_wants_make_no_request() -> None:
    """A batch without a wanted event has no body, and counts as told."""
    there = filled(2)
    assert there.start(lambda _: False, 0) == b""
    assert of(there.told()) == events(2)
    assert len(there) == 0


def test_a_failed_batch_is_sent_again_as_it_was() -> None:
    """The same bytes go out again, after waits that double up to a bound; what came meanwhile stays behind."""
    there = filled(1)
    first = there.start(everything, 5)
    put(there, [HookEvent("channel_vacated", "c0")])
    now, waits = 0.0, []
    for _ in range(9):
        assert there.failed(now) == []
        waits.append(there.retry_at - now)
        assert not there.ready(there.retry_at - 0.001)
        now = there.retry_at
        assert there.ready(now)
        assert there.start(everything, 99) == first
    assert waits == [1, 2, 4, 8, 16, 32, BACKOFF_MOST, BACKOFF_MOST, BACKOFF_MOST]
    assert of(there.told()) == events(1)
    assert there.attempt == 0


def test_waits_are_random_between_half_and_whole() -> None:
    """Nodes whose requests failed together do not try again together."""
    there = queue(share=0.0)
    put(there, events(1))
    there.start(everything, 0)
    there.failed(10.0)
    assert there.retry_at == 10.5


def test_events_are_given_up_when_too_old() -> None:
    """Five minutes after it was put in, a failed event is given up with all that are as old; younger ones go on."""
    there = filled(2)
    there.start(everything, 0)
    put(there, events(BATCH, first=2), 100.0)
    assert there.failed(299.0) == []
    there.start(everything, 0)
    assert of(there.failed(300.0)) == events(2)
    assert len(there) == BATCH
    assert len(body(there.start(everything, 0))["events"]) == BATCH
    assert of(there.failed(401.0)) == events(BATCH, first=2)
    assert len(there) == 0


def test_each_event_is_tried_at_least_once() -> None:
    """What waited behind a slow request for longer than five minutes is still tried."""
    there = filled(BATCH + 1)
    there.start(everything, 0)
    there.told()
    assert there.ready(1_000.0)
    assert there.start(everything, 0)
    assert of(there.told()) == events(1, first=BATCH)


def test_what_another_node_tells_is_left_to_it() -> None:
    """Events of channels that changed hands are taken out, unless they are on their way."""
    there = filled(3)
    there.start(everything, 0)
    put(there, [HookEvent("channel_vacated", "c1")])
    there.leave(lambda channel: channel == "c1")
    assert len(there) == 3
    assert there.failed(1.0) == []
    there.leave(lambda channel: channel == "c1")
    again = body(there.start(everything, 0))["events"]
    assert [event["channel"] for event in again] == ["c0", "c2"]


def test_an_event_is_put_in_once() -> None:
    """An id that is there already changes nothing; once it is out it may come again."""
    there = filled(1)
    put(there, events(1))
    assert len(there) == 1
    there.start(everything, 0)
    put(there, events(1))
    there.told()
    assert len(there) == 0
    put(there, events(1))
    assert len(there) == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["put", "ok", "bad", "leave"]), st.floats(0, 200)), max_size=60))
def test_nothing_is_lost_or_doubled(steps: list[tuple[str, float]]) -> None:
    """Every event that was put in, and is not left to others, is told or given up: once, and in order."""
    there, now, number = queue(), 0.0, 0
    out: list[int] = []
    for what, seconds in steps:
        now += seconds
        if what == "put":
            put(there, [HookEvent("channel_occupied", str(number))], now)
            number += 1
        elif what == "leave":
            there.leave(lambda channel: int(channel) % 3 == 0)
        elif there.ready(now):
            there.start(everything, 0)
            out += [int(event.channel) for event in of(there.told() if what == "ok" else there.failed(now))]
    while len(there):
        there.start(everything, 0)
        out += [int(event.channel) for event in of(there.told())]
    assert out == sorted(set(out))
    assert [one for one in out if one % 3] == [one for one in range(number) if one % 3]

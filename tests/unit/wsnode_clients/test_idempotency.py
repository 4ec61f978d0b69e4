"""Publishing again with the same idempotency key."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.wsnode_clients.publish_api import BEARER, Api, api, failure
from tests.unit.wsnode_clients.pure import APP as PURE_APP
from tests.unit.wsnode_clients.pure import STREAM, deliver, event, make_hub, make_session, said, subscribed, written
from wsnode.domain.keys import Keys
from wsnode.domain.messages import Event

OTHER = "n2~b"
BODY = {"name": "price", "channel": "news", "data": "1"}


async def publish(a: Api, key: str, body: object = BODY, path: str = "events", query: str = "") -> tuple[int, Any]:
    headers = BEARER | {"X-Idempotency-Key": key}
    return await a.call("POST", f"/apps/1/{path}{query}", body, headers=headers)


async def test_a_retry_is_answered_as_the_first_and_makes_no_second_event() -> None:
    """Same event id, the nodes that hold it now, and the subscriber hears it once."""
    async with api() as a, a.node.client() as client:
        await client.subscribe("news")
        assert await publish(a, "k") == (200, {"id": "n1~abc:1", "acknowledged_by": []})
        a.mesh.peers = {"n2": {}}
        assert await publish(a, "k") == (200, {"id": "n1~abc:1", "acknowledged_by": ["n2"]})
        assert await publish(a, "l") == (200, {"id": "n1~abc:2", "acknowledged_by": ["n2"]})
        assert [(await client.hear())["id"] for _ in range(2)] == ["n1~abc:1", "n1~abc:2"]
        assert a.node.published == [
            Event("1", ["news"], "price", "1", key="k"),
            Event("1", ["news"], "price", "1", key="l"),
        ]


async def test_a_retry_waits_for_the_acknowledgements_that_it_asks_for() -> None:
    """After 503 the same request succeeds once enough nodes hold the event, and not before."""
    async with api() as a:
        a.mesh.peers = {"n2": None}
        for _ in range(2):
            status, answer = await publish(a, "k", query="?acks=all")
            assert (status, answer["error"]["code"]) == (503, "insufficient_acks")
        a.mesh.peers = {"n2": {}}
        assert await publish(a, "k", query="?acks=all") == (200, {"id": "n1~abc:1", "acknowledged_by": ["n2"]})
        assert len(a.node.published) == 1


async def test_a_retry_at_a_node_that_has_the_event_of_another() -> None:
    """The answer has the id that the other node gave."""
    async with api() as a:
        a.node.arrive(OTHER, Event("1", ["news"], "price", "1", key="k"))
        assert await publish(a, "k") == (200, {"id": f"{OTHER}:1", "acknowledged_by": []})
        assert a.node.published == []


async def test_retries_at_the_same_time_make_one_event() -> None:
    """It does not matter that the first has not been answered yet."""
    async with api() as a:
        answers = await asyncio.gather(*(publish(a, "k") for _ in range(20)))
        assert {answer["id"] for _, answer in answers} == {"n1~abc:1"}
        assert len(a.node.published) == 1


@pytest.mark.parametrize(
    "changed", [{"data": "2"}, {"name": "other"}, {"channel": "other"}, {"socket_id": "1.2"}], ids=lambda c: str(*c)
)
async def test_another_event_with_the_same_key_is_a_conflict(changed: dict[str, str]) -> None:
    """Nothing is published, and the event of before is not given out as the answer."""
    text = "this idempotency key was used for another event; take a new one for each"
    async with api() as a:
        await publish(a, "k")
        refused = (409, failure("idempotency_conflict", text, "X-Idempotency-Key"))
        assert await publish(a, "k", BODY | changed) == refused
        batch = {"batch": [BODY, BODY]}
        assert (await publish(a, "k", batch, "batch_events"))[0] == 200
        assert await publish(a, "k", {"batch": [BODY, BODY | changed, BODY]}, "batch_events") == refused
        assert len(a.node.published) == 3


async def test_the_events_of_a_batch_are_known_by_their_places() -> None:
    """The same event twice in a batch is two events; the batch sent again is none."""
    async with api() as a:
        batch = {"batch": [BODY, BODY]}
        for _ in range(2):
            status, answer = await publish(a, "k", batch, "batch_events")
            assert (status, [one["id"] for one in answer["batch"]]) == (200, ["n1~abc:1", "n1~abc:2"])
        status, answer = await publish(a, "k", {"batch": [BODY, BODY, BODY]}, "batch_events")
        assert [one["id"] for one in answer["batch"]] == ["n1~abc:1", "n1~abc:2", "n1~abc:3"]


@pytest.mark.parametrize("key", ["", "x" * 129, "ü", "a\tb"])
@pytest.mark.parametrize("path", ["events", "batch_events"])
async def test_a_key_of_another_form_is_refused(key: str, path: str) -> None:
    """Nothing is published, and the answer says what a key looks like."""
    async with api() as a:
        body = BODY if path == "events" else {"batch": [BODY]}
        text = "an idempotency key has 1 to 128 printable ASCII characters"
        assert await publish(a, key, body, path) == (400, failure("invalid_idempotency_key", text, "X-Idempotency-Key"))
        assert a.node.published == []
        assert (await publish(a, "~ " + "x" * 126, body, path))[0] == 200


async def test_without_a_key_the_same_event_is_published_each_time() -> None:
    """Only a key says that two requests mean one event."""
    async with api() as a:
        ids = [(await a.call("POST", "/apps/1/events", BODY))[1]["id"] for _ in range(2)]
        assert ids == ["n1~abc:1", "n1~abc:2"]


def test_of_two_events_with_one_key_the_first_that_comes_is_delivered() -> None:
    """The other came from a node that did not know of the first; whoever has seen either is not given the other."""
    hub = make_hub()
    subscribed(make_session(hub), "a", "cache-b")
    first = event("a", "cache-b", data="1", key="k")
    assert len(written(deliver(hub, first, stream=OTHER))) == 2
    assert written(deliver(hub, first)) == []
    assert hub.repeated == 1
    assert written(deliver(hub, event("a", data="2", key="l")))
    for position, missed in (
        ({STREAM: 1, OTHER: 0}, ["2"]),
        ({STREAM: 0, OTHER: 1}, ["2"]),
        ({STREAM: 0, OTHER: 0}, ["1", "2"]),
        ({STREAM: 2, OTHER: 0}, []),
    ):
        session = make_session(hub, socket_id=f"{len(list(hub.sessions_of(PURE_APP.id)))}.9")
        heard = said(session, "pusher:subscribe", {"channel": "a", "position": position})
        assert [message["data"] for message in heard[1:-1]] == missed


def test_subscribers_can_tell_that_two_events_are_one() -> None:
    """Events with a key carry what is the same at every node and for no other key or app, and is not the key."""
    [one], [same], [other] = (
        written(deliver(hub, event("a", key=key), stream=stream))
        for hub, key, stream in ((listened(), "k", STREAM), (listened(), "k", OTHER), (listened(), "l", STREAM))
    )
    assert one[0]["id"] != same[0]["id"]
    assert one[0]["key"] == same[0]["key"] != other[0]["key"]
    assert len(one[0]["key"]) == 24
    assert "key" not in written(deliver(listened(), event("a")))[0][0]


def listened() -> Any:
    hub = make_hub()
    subscribed(make_session(hub), "a")
    return hub


def test_keys_are_forgotten_with_the_logs() -> None:
    """After the age of the logs a key may be used anew."""
    hub = make_hub(max_seconds=100)
    deliver(hub, event("a", key="k"))
    hub.sweep(100)
    assert written(deliver(hub, event("cache-a", key="k"))) == []
    assert hub.repeated == 1
    hub.sweep(101)
    assert len(hub.keys) == 0
    deliver(hub, event("a", key="k"))
    assert hub.repeated == 1


def test_keys_are_bounded() -> None:
    """Beyond the bound the oldest is forgotten; sweeping takes no more steps than it may."""
    keys = Keys(100, max_keys=3)
    for number in range(5):
        keys.add(event("a", key=str(number)), STREAM, number, 0)
    assert [number for number in range(5) if keys.find(event("a", key=str(number)))] == [2, 3, 4]
    assert keys.sweep(101, 2)
    assert len(keys) == 1
    assert not keys.sweep(101, 2)
    assert len(keys) == 0
    assert keys.dropped == 2


def test_keys_that_are_too_old_are_not_counted_as_dropped() -> None:
    """Only what was forgotten before its time counts, not what was due and had not been swept yet."""
    keys = Keys(100, max_keys=1)
    for now, dropped in ((0, 0), (100, 1), (201, 1)):
        keys.add(event("a", key=str(now)), STREAM, now, now)
        assert (len(keys), keys.dropped) == (1, dropped)


def test_beyond_the_bound_a_repetition_is_a_second_event() -> None:
    """A key that had to make room is as if it had never been, and is counted."""
    hub = listened()
    hub._events.keys = Keys(100, max_keys=2)
    for key in "klmk":
        assert written(deliver(hub, event("a", key=key)))
    assert (hub.repeated, hub.keys.dropped) == (0, 2)
    assert written(deliver(hub, event("a", key="m"))) == []
    assert (hub.repeated, hub.keys.dropped) == (1, 2)


def test_apps_do_not_share_keys() -> None:
    """The same key of two apps means two events."""
    keys = Keys(100)
    keys.add(event("a", key="k"), STREAM, 1, 0)
    assert keys.find(Event("other", ["a"], "news", "{}", key="k")) is None

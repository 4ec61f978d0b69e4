"""Where a client is in each channel, from what a server says."""

from __future__ import annotations

from typing import Any

import pytest

from wsmesh.client.items import Subscribed
from wsmesh.client.resume import KEY_SECONDS, MAX_KEYS, Resume

A, B = "n1~a", "n2~b"


def answer(recovered: bool, **position: int) -> dict[str, Any]:
    """The data of an answer to a subscribe; `a=1` is the position n1~a:1."""
    return {"recovered": recovered, "position": streams(**position)}


def streams(a: int | None = None, b: int | None = None) -> dict[str, int]:
    return {stream: seq for stream, seq in ((A, a), (B, b)) if seq is not None}


def joined(**position: int) -> Resume:
    """A client that joined `news` at a position."""
    here = Resume()
    here.join("news")
    here.connected()
    here.answered("news", answer(False, **position))
    return here


def test_the_first_time_nothing_is_asked() -> None:
    """A channel without a position asks for one, and that is no failed recovery."""
    here = Resume()
    here.join("news")
    assert here.position("news") is None
    assert here.ask("news") == {}
    assert here.answered("news", answer(False, a=4)) == Subscribed("news", None, {A: 4})
    assert here.position("news") == {A: 4}


def test_events_move_the_position() -> None:
    """Each event moves the number of its stream, in its channel."""
    here = joined(a=4)
    here.join("sport")
    assert here.take("news", f"{A}:5", None, 0)
    assert here.take("news", f"{B}:1", None, 0)
    assert here.position("news") == {A: 5, B: 1}
    assert here.position("sport") is None


def test_an_event_that_came_before_is_dropped() -> None:
    """An event of a stream at or before what was seen is no new one, and is counted."""
    here = joined(a=4)
    assert here.take("news", f"{A}:6", None, 0)
    assert not here.take("news", f"{A}:6", None, 0)
    assert not here.take("news", f"{A}:5", None, 0)
    assert here.take("news", f"{A}:7", None, 0)
    assert here.dropped == 2


@pytest.mark.parametrize("event_id", [None, "", "7", "n1~a", "n1~a:", "n1~a:-1", "n1~a:x", ":7"])
def test_events_without_a_number_are_new(event_id: str | None) -> None:
    """What has no event id, as from another server, is delivered and moves nothing."""
    here = joined(a=4)
    assert here.take("news", event_id, None, 0)
    assert here.take("news", event_id, None, 0)
    assert here.position("news") == {A: 4}


def test_a_recovery_keeps_the_own_position_until_the_missed_events_came() -> None:
    """After `recovered` the position in the answer is not yet this client's: it may be cut off among missed events."""
    here = joined(a=4, b=2)
    here.connected()
    assert here.ask("news") == {A: 4, B: 2}
    assert here.answered("news", answer(True, a=9, b=7)) == Subscribed("news", True, {A: 4, B: 2})
    assert here.take("news", f"{B}:3", None, 0)
    assert here.ask("news") == {A: 4, B: 3}
    here.told({"position": {A: 9, B: 7}}, "news")
    assert here.ask("news") == {A: 9, B: 7}
    assert not here.take("news", f"{A}:9", None, 0)


def test_without_a_recovery_the_client_goes_on_from_the_answer() -> None:
    """After `recovered: false` the told position replaces the old one, also where that was further."""
    here = joined(a=4, b=9)
    here.connected()
    assert here.answered("news", answer(False, a=8, b=3)) == Subscribed("news", False, {A: 8, B: 3})
    assert here.ask("news") == {A: 8, B: 3}


def test_the_last_event_of_a_cache_channel_is_no_duplicate() -> None:
    """The last event that follows a failed recovery is one of those that were lost: it is new, and goes not back."""
    here = joined(a=4)
    here.connected()
    here.answered("news", answer(False, a=9))
    assert here.take("news", f"{A}:7", None, 0)
    assert here.position("news") == {A: 9}
    assert not here.take("news", f"{A}:7", None, 0)


def test_a_position_for_all_channels_holds_for_those_answered_here() -> None:
    """A position without a channel is not about channels whose subscribe this connection has not answered."""
    here = joined(a=4)
    here.join("sport", {A: 1})
    here.told({"position": {A: 6}}, None)
    assert here.position("news") == {A: 6}
    assert here.position("sport") == {A: 1}
    here.connected()
    here.answered("sport", answer(True, a=7))
    here.told({"position": {A: 8}}, None)
    assert here.position("news") == {A: 6}
    assert here.position("sport") == {A: 8}


def test_a_stored_position_is_asked_for() -> None:
    """A client that starts with a stored position recovers, or is told that it did not."""
    for recovered in (True, False):
        here = Resume()
        here.join("news", {A: 3})
        assert here.position("news") == here.ask("news") == {A: 3}
        told = here.answered("news", answer(recovered, a=5))
        assert told == Subscribed("news", recovered, {A: 3} if recovered else {A: 5})
        assert not here.take("news", f"{A}:3", None, 0)


def test_a_server_without_positions_recovers_nothing() -> None:
    """With a server that knows no positions, coming back is never taken for a recovery."""
    here = Resume()
    here.join("news")
    assert here.answered("news", {}) == Subscribed("news", None, None)
    assert here.take("news", f"{A}:3", None, 0)
    assert here.position("news") is None
    here.connected()
    assert here.ask("news") == {}
    assert here.answered("news", {}) == Subscribed("news", False, None)


@pytest.mark.parametrize("position", [None, [], "n1~a:3", {A: "3"}, {A: -1}, {A: 1.5}, {A: True}])
def test_a_position_that_is_none_is_ignored(position: object) -> None:
    """What a server tells in place of a position changes nothing, and recovers nothing."""
    here = joined(a=4)
    here.told({"position": position}, None)
    assert here.position("news") == {A: 4}
    here.connected()
    assert here.answered("news", {"recovered": True, "position": position}).recovered is False


def test_a_refused_position_is_asked_for_anew() -> None:
    """A position that a server refuses is dropped once, and then it is no recovery."""
    here = joined(a=4)
    here.connected()
    assert here.refused("news")
    assert here.ask("news") == {}
    assert not here.refused("news")
    assert not here.refused("sport")
    assert here.answered("news", answer(False, a=6)) == Subscribed("news", False, {A: 6})


def test_a_channel_that_was_left_is_forgotten() -> None:
    """Joining a channel again after leaving it begins from now."""
    here = joined(a=4)
    here.leave("news")
    assert here.position("news") is None
    here.join("news")
    assert here.ask("news") == {}
    assert here.answered("news", answer(False, a=6)).recovered is None


def test_an_idempotency_key_is_delivered_once() -> None:
    """The same event, published again at another node with its key, is dropped, and moves the position all the same."""
    here = joined(a=4, b=2)
    here.join("sport")
    assert here.take("news", f"{A}:5", "order-7", 0)
    assert here.take("sport", f"{A}:5", "order-7", 0)
    assert not here.take("news", f"{B}:3", "order-7", 10)
    assert here.position("news") == {A: 5, B: 3}
    assert here.take("news", f"{B}:4", "order-7", KEY_SECONDS + 11)


def test_keys_are_bounded() -> None:
    """Of very many keys the oldest are forgotten."""
    here = joined(a=0)
    for number in range(MAX_KEYS + 1):
        here.take("news", f"{A}:{number + 1}", str(number), 0)
    assert here.take("news", f"{B}:1", "0", 0)
    assert not here.take("news", f"{B}:2", str(MAX_KEYS), 0)


def test_the_answer_of_a_presence_channel_names_its_members() -> None:
    """With their infos, beside the position; what is no list of members is none."""
    here = Resume()
    here.join("presence-a")
    there = {"ids": ["ada"], "hash": {"ada": {"name": "Ada"}}, "count": 1}
    assert here.answered("presence-a", answer(False, a=4) | {"presence": there}) == Subscribed(
        "presence-a", None, {A: 4}, {"ada": {"name": "Ada"}}
    )
    assert here.answered("presence-a", {"presence": ["ada"]}).members is None

from __future__ import annotations

from collections.abc import Iterable

import pytest

from wsmesh.contract import WEBHOOK_EVENTS
from wsnode.domain.messages import HookEvent
from wsnode.domain.webhook_look import Found, Interest, Pause, Present, look
from wsnode.domain.webhook_view import View

DELAY = 3.0


def view(*events: HookEvent) -> View:
    there = View()
    for event in events:
        there.fold(event)
    return there


OCCUPIED = HookEvent("channel_occupied", "c")
VACATED = HookEvent("channel_vacated", "c")


def added(user: str) -> HookEvent:
    return HookEvent("member_added", "c", user=user)


def removed(user: str) -> HookEvent:
    return HookEvent("member_removed", "c", user=user)


def count(number: int) -> HookEvent:
    return HookEvent("subscription_count", "c", number=number)


def at(
    now: float, present: Present, told: View, pause: Pause | None = None, events: Iterable[str] = WEBHOOK_EVENTS
) -> Found:
    return look("c", present, told, pause or Pause(), Interest.of(tuple(events)), delay=DELAY, now=now)


def test_what_came_is_told_at_once_and_in_order() -> None:
    """Occupied before members, then the count, then a miss."""
    present = Present(occupied=True, members=["a", "b"], number=2, miss="n1~a:1")
    miss = HookEvent("cache_miss", "c", miss="n1~a:1")
    assert at(0, present, view()) == ([OCCUPIED, added("a"), added("b"), count(2), miss], None)


def test_nothing_is_told_twice() -> None:
    """A channel that is as it was told is not told of."""
    told = view(OCCUPIED, added("a"), count(2))
    assert at(0, Present(occupied=True, members=["a"], number=2), told) == ([], None)


def test_what_went_is_told_after_the_delay() -> None:
    """Members go before the channel is vacated, all of them only once they have stayed away."""
    told, pause = view(OCCUPIED, added("a"), count(1)), Pause()
    assert at(10, Present(), told, pause) == ([], 13.0)
    assert at(12.9, Present(), told, pause) == ([], 13.0)
    assert at(13, Present(), told, pause) == ([removed("a"), count(0), VACATED], None)


def test_who_comes_back_in_time_has_not_been_away() -> None:
    """A short absence tells nothing, and the next one waits its whole time again."""
    told, pause = view(OCCUPIED, added("a")), Pause()
    assert at(10, Present(), told, pause) == ([], 13.0)
    assert at(12, Present(occupied=True, members=["a"]), told, pause) == ([], None)
    assert at(14, Present(), told, pause) == ([], 17.0)


def test_a_channel_is_vacated_after_its_members_went() -> None:
    """A member that went later holds the channel's end back."""
    told, pause = view(OCCUPIED, added("a"), added("b")), Pause()
    assert at(0, Present(occupied=False, members=["b"]), told, pause) == ([], 3.0)
    assert at(2, Present(), told, pause) == ([], 3.0)
    assert at(3, Present(), told, pause) == ([removed("a")], 5.0)
    told.fold(removed("a"))
    assert at(5, Present(), told, pause) == ([removed("b"), VACATED], None)


def test_members_wait_for_their_channel() -> None:
    """A member that is known before the channel counts as occupied is told after that."""
    assert at(0, Present(occupied=False, members=["a"]), view()) == ([], None)


def test_large_counts_are_told_every_five_seconds() -> None:
    """Above a hundred subscribers only the newest count is told, and not too often; below, each one is."""
    told, pause = view(OCCUPIED, count(100)), Pause()
    assert at(0, Present(occupied=True, number=101), told, pause) == ([count(101)], None)
    told.fold(count(101))
    assert at(1, Present(occupied=True, number=102), told, pause) == ([], 5.0)
    assert at(5, Present(occupied=True, number=150), told, pause) == ([count(150)], None)
    told.fold(count(150))
    assert at(6, Present(occupied=True, number=99), told, pause) == ([count(99)], None)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (["channel_vacated"], [OCCUPIED]),
        (["member_removed"], [added("a")]),
        (["subscription_count"], [count(1)]),
        (["cache_miss"], [HookEvent("cache_miss", "c", miss="m:1")]),
    ],
)
def test_only_what_matters_is_followed(events: list[str], expected: list[HookEvent]) -> None:
    """What began is followed for the sake of its end, even if only that is told."""
    assert at(0, Present(occupied=True, members=["a"], number=1, miss="m:1"), view(), events=events).events == expected


def test_a_view_can_be_told_as_events() -> None:
    """The events of a view make the same view of nothing."""
    there = view(OCCUPIED, added("a"), added("b"), removed("a"), count(7))
    again = view(*there.events("c"))
    assert (again.occupied, list(again.members), again.number) == (True, ["b"], 7)
    assert not again.empty
    assert view(OCCUPIED, VACATED, HookEvent("cache_miss", "c", miss="m:1")).empty
    again.fold(HookEvent("moon_full", "c"))
    assert again.events("c") == there.events("c")

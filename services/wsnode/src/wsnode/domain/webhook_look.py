"""What is new on a channel for a webhook: the channel as it is, held against what the webhook is told."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from wsnode.domain.messages import HookEvent
from wsnode.domain.webhook_view import View

AT_ONCE = 100
INTERVAL = 5.0
"""Above so many subscribers a count is told every so many seconds at most, as to the subscribers themselves."""


class Interest(NamedTuple):
    """What must be followed for the sake of the events that a webhook wants."""

    occupied: bool
    members: bool
    numbers: bool
    misses: bool

    @classmethod
    def of(cls, events: Collection[str]) -> Interest:
        """That of a webhook with these events."""
        return cls(
            occupied="channel_occupied" in events or "channel_vacated" in events,
            members="member_added" in events or "member_removed" in events,
            numbers="subscription_count" in events,
            misses="cache_miss" in events,
        )


class Present(NamedTuple):
    """A channel as it is in the whole cluster, as this node sees it."""

    occupied: bool = False
    members: Collection[str] = ()
    number: int = 0
    """Its subscribers; 0 as well when its rule does not count them."""
    miss: str = ""
    """The event id of a cache miss that is still to be told."""


class Pause:
    """What of one channel waits: what is gone is told only if it stays away, and large counts not too often."""

    __slots__ = ("counted_at", "gone")

    def __init__(self) -> None:
        self.gone: dict[str, float] = {}
        """Since when the user, or under "" the last subscriber, is gone."""
        self.counted_at = float("-inf")

    def over(self, what: str, delay: float, now: float) -> float | None:
        """None when it has been gone for long enough, else the time when that will be."""
        since = self.gone.setdefault(what, now)
        return None if now - since >= delay else since + delay


class Found(NamedTuple):
    """What is to be told now, in order, and when to look again even if nothing happens."""

    events: list[HookEvent]
    again: float | None


def look(
    channel: str, present: Present, view: View, pause: Pause, interest: Interest, *, delay: float, now: float
) -> Found:
    """Compare with what is decided. What came is told at once, what went after `delay` seconds."""
    events: list[HookEvent] = []
    later: list[float] = []
    if interest.occupied and present.occupied and not view.occupied:
        events.append(HookEvent("channel_occupied", channel))
    if interest.members and (present.occupied or not interest.occupied):
        events += [
            HookEvent("member_added", channel, user=user) for user in present.members if user not in view.members
        ]
    if interest.numbers and present.number and present.number != view.number:
        if present.number <= AT_ONCE or now - pause.counted_at >= INTERVAL:
            pause.counted_at = now if present.number > AT_ONCE else float("-inf")
            events.append(HookEvent("subscription_count", channel, number=present.number))
        else:
            later.append(pause.counted_at + INTERVAL)
    if interest.misses and present.miss:
        events.append(HookEvent("cache_miss", channel, miss=present.miss))

    gone = [user for user in view.members if user not in present.members] if interest.members else []
    empty = (interest.occupied and view.occupied and not present.occupied) or (
        interest.numbers and view.number > 0 and not present.number
    )
    for what in [what for what in pause.gone if what not in gone and not (what == "" and empty)]:
        del pause.gone[what]
    for user in gone:
        wait = pause.over(user, delay, now)
        if wait is None:
            del pause.gone[user]
            events.append(HookEvent("member_removed", channel, user=user))
        else:
            later.append(wait)
    if empty:
        wait = pause.over("", delay, now)
        if wait is not None:
            later.append(wait)
        elif not any(user in pause.gone for user in gone):
            del pause.gone[""]
            if interest.numbers and view.number and not present.number:
                pause.counted_at = float("-inf")
                events.append(HookEvent("subscription_count", channel))
            if interest.occupied and view.occupied and not present.occupied:
                events.append(HookEvent("channel_vacated", channel))
    return Found(events, min(later, default=None))

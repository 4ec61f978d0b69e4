"""What a webhook is told of a channel: a state, that events change."""

from __future__ import annotations

from wsnode.domain.messages import HookEvent


class View:
    """The channel as one who is told all of it sees it."""

    __slots__ = ("members", "number", "occupied")

    def __init__(self) -> None:
        self.occupied = False
        self.members: dict[str, None] = {}
        """User ids of a presence channel, in the order in which they were told."""
        self.number = 0
        """The last subscription count; 0 also when none was told."""

    def fold(self, event: HookEvent) -> None:
        """Take an event. Repeated, it changes nothing; one of a name that is not known neither."""
        if event.name in ("channel_occupied", "channel_vacated"):
            self.occupied = event.name == "channel_occupied"
        elif event.name == "member_added":
            self.members[event.user] = None
        elif event.name == "member_removed":
            self.members.pop(event.user, None)
        elif event.name == "subscription_count":
            self.number = event.number

    @property
    def empty(self) -> bool:
        """Whether it says no more than nothing does."""
        return not (self.occupied or self.members or self.number)

    def events(self, channel: str) -> list[HookEvent]:
        """The events that make it of nothing."""
        events = [HookEvent("channel_occupied", channel)] if self.occupied else []
        events += [HookEvent("member_added", channel, user=user) for user in self.members]
        if self.number:
            events.append(HookEvent("subscription_count", channel, number=self.number))
        return events


NOTHING = View()
"""Nothing was told. Not to be changed."""

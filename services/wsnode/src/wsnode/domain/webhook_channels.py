"""What webhooks need to know of the channels, as the hub has it."""

from __future__ import annotations

from collections.abc import Iterable

from wsnode.domain.hub import Hub
from wsnode.domain.webhook_look import Present


class HubChannels:
    """See webhooks.Channels."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def present(self, app: str, channel: str) -> Present:
        """One channel as it is now."""
        number = self._hub.counts.total((app, channel))
        known = self._hub.directory.by_id(app)
        counted = known is not None and self._hub.directory.rule_for(known, channel).subscription_count
        return Present(occupied=number > 0, members=self._hub.members(app, channel), number=number if counted else 0)

    def names(self, app: str) -> Iterable[str]:
        """The app's channels that have subscribers, as far as they are counted or watched, or members."""
        return self._hub.channels(app)

"""One webhook of an app at one node: what is to be told, and by this node if a channel is its own."""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from wsmesh.contract import Webhook
from wsnode.domain.directory import pattern_of
from wsnode.domain.messages import HookEvent
from wsnode.domain.webhook_look import Interest, Pause, Present, look
from wsnode.domain.webhook_queue import Queue
from wsnode.domain.webhook_view import NOTHING, View

Mine = Callable[[str], bool]
"""Whether this node tells of a channel."""


class HookLimits(NamedTuple):
    """Bounds; seconds and events. What raising and lowering each costs stands with the node's settings."""

    delay: float = 3.0
    retry_seconds: float = 300.0
    queue: int = 10_000


class Hook:
    """What is decided and what is told comes from the streams, so that all nodes know the same (`views`, `pending`)."""

    def __init__(
        self, app: str, webhook: Webhook, limits: HookLimits, uniform: Callable[[float, float], float]
    ) -> None:
        self.app = app
        self.name = webhook.name
        self.queue = Queue(limits.retry_seconds, uniform)
        self.views: dict[str, View] = {}
        """The channels as the receiver sees them once it is told all that is decided."""
        self.pending: dict[str, HookEvent] = {}
        """What is decided and not told yet, by id and in order."""
        self.events_sent = 0
        self.requests_failed = 0
        self.events_dropped = 0
        self._limits = limits
        self._dirty: dict[str, None] = {}
        self._pauses: dict[str, Pause] = {}
        self._wake: dict[str, float] = {}
        self._alarms: list[tuple[float, str]] = []
        self._misses: dict[str, tuple[str, float]] = {}
        self.configure(webhook)

    def configure(self, webhook: Webhook) -> None:
        """Follow a new configuration."""
        self.webhook = webhook
        self.url = webhook.url
        self.events = frozenset(webhook.events)
        self.interest = Interest.of(self.events)
        self._pattern: re.Pattern[str] = pattern_of(webhook.channels)

    def matches(self, channel: str) -> bool:
        """Whether the webhook is for this channel; those that are a user's own are nobody's."""
        return not channel.startswith("#") and self._pattern.fullmatch(channel) is not None

    def touch(self, channel: str) -> None:
        """Something may have happened on a channel."""
        if self.matches(channel):
            self._dirty[channel] = None

    def touch_all(self, channels: Iterable[str]) -> None:
        """Look at these channels, and at all that something is to be told of."""
        for channel in (*channels, *self.views, *self._misses):
            self.touch(channel)

    def missed(self, channel: str, miss: str, now: float) -> None:
        """A cache miss is to be told."""
        if self.interest.misses and self.matches(channel):
            self._misses[channel] = (miss, now)
            self._dirty[channel] = None

    @property
    def busy(self) -> bool:
        """Whether anything is left to do for this node, now or later, of what has happened so far."""
        return bool(self._dirty or self._wake or len(self.queue))

    # --- deciding

    def look(
        self, mine: Mine, present: Callable[[str], Present], now: float, steps: int
    ) -> tuple[list[HookEvent], bool]:
        """What is to be told, looking at `steps` channels at most, and whether there are more to look at."""
        while self._alarms and self._alarms[0][0] <= now:
            due, channel = heapq.heappop(self._alarms)
            if self._wake.get(channel) == due:
                del self._wake[channel]
                self._dirty[channel] = None
        events: list[HookEvent] = []
        # Not one after the other from the front of the dict: that looks at all that were there before, again and again.
        for channel in list(itertools.islice(self._dirty, steps)):
            if len(self.queue) + len(events) >= self._limits.queue:
                return events, False
            del self._dirty[channel]
            if mine(channel):
                events += self._look_at(channel, present(channel), now)
            else:
                self._pauses.pop(channel, None)
                self._wake.pop(channel, None)
        return events, bool(self._dirty)

    def _look_at(self, channel: str, present: Present, now: float) -> list[HookEvent]:
        pause = self._pauses.pop(channel, None) or Pause()
        miss, _ = self._misses.get(channel, ("", 0.0))
        found = look(
            channel,
            present._replace(miss=miss),
            self.views.get(channel, NOTHING),
            pause,
            self.interest,
            delay=self._limits.delay,
            now=now,
        )
        if found.again is None:
            self._wake.pop(channel, None)
        elif self._wake.get(channel) != found.again:
            self._wake[channel] = found.again
            heapq.heappush(self._alarms, (found.again, channel))
        if found.again is not None or pause.counted_at > float("-inf"):
            self._pauses[channel] = pause
        return found.events

    # --- what the streams say

    def decided(self, identity: str, event: HookEvent) -> None:
        """An event is to be told. Repeated, it changes nothing."""
        channel = event.channel
        if event.name == "cache_miss":
            if self._misses.get(channel, ("", 0.0))[0] == event.miss:
                del self._misses[channel]
        else:
            view = self.views.setdefault(channel, View())
            view.fold(event)
            if view.empty:
                del self.views[channel]
        self.pending[identity] = event

    def told(self, ids: Iterable[str]) -> None:
        """Events were told or given up, by whatever node."""
        for identity in ids:
            self.pending.pop(identity, None)

    # --- who tells

    def adopt(self, mine: Mine, now: float) -> None:
        """Tell what is decided of the channels that are this node's, by whom it was decided ever."""
        for identity, event in self.pending.items():
            if mine(event.channel):
                self.queue.put(identity, event, now)

    def leave(self, mine: Mine) -> None:
        """Leave to other nodes what they tell of from now on."""
        self.queue.leave(lambda channel: not mine(channel))

    def forget_old_misses(self, now: float) -> None:
        """What nobody has told for so long is not told any more."""
        while self._misses:
            channel = next(iter(self._misses))
            if now - self._misses[channel][1] < self._limits.retry_seconds:
                return
            del self._misses[channel]

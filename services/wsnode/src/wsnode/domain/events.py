"""What becomes of an event: who gets it, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping

from wsmesh.channels import kind_of
from wsnode.domain.channel import Channel
from wsnode.domain.deliveries import Delivery
from wsnode.domain.directory import DEFAULT_RULE, Directory
from wsnode.domain.frames import ChannelEvents, system_event
from wsnode.domain.history import OVERHEAD, Entry, History
from wsnode.domain.keys import Keys, public_key
from wsnode.domain.last_events import Last, LastEvents
from wsnode.domain.messages import Event, Message, StreamId, event_id

SWEEP_STEPS = 2_000
"""Events and keys that are forgotten in one go, a few milliseconds of work."""


class Events:
    """The history of all channels, the last events of some, and the idempotency keys."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.keys = Keys(history.max_seconds)
        self.repeated = 0
        """Events that were not delivered since one with the same idempotency key was before."""
        self._last: dict[str, LastEvents] = {}

    def take(
        self,
        event: Event,
        stream: StreamId,
        message: Message,
        directory: Directory,
        channels: Mapping[str, Channel],
        now: float,
    ) -> list[Delivery]:
        """Keep an event, and deliver it to the app's `channels` that have subscribers here."""
        seq, also = message.seq, None
        if event.key is not None:
            first = self.keys.find(event)
            if first is not None:
                first.also.append((stream, seq))
                self.repeated += 1
                return []
            also = self.keys.add(event, stream, seq, now).also
        # The history also takes what this node does not know the app of yet.
        app = directory.by_id(event.app)
        frames: ChannelEvents | None = None
        deliveries = []
        for name in event.channels:
            channel = channels.get(name)
            rule = DEFAULT_RULE if app is None else directory.rule_for(app, name)
            cached = (rule.cache or kind_of(name).cache) if channel is None else channel.cached
            body: Event | bytes = event
            if app is not None and (channel is not None or cached):
                if frames is None:
                    frames = encoded(event, stream, seq)
                body = frame = frames.frame(name)
                if cached:
                    self._last.setdefault(event.app, LastEvents()).put(name, Last(frame, stream, seq, message.at))
                if channel is not None:
                    deliveries.append(Delivery(frame, channel.receivers(stream, seq), event.exclude))
                cost = OVERHEAD + len(frame)
            else:
                cost = OVERHEAD + len(name) + (event.data.__sizeof__() + len(event.name)) // len(event.channels)
            self.history.add((event.app, name), rule, Entry(stream, seq, now, body, cost, also))
        return deliveries

    def last(self, app: str, channel: str) -> Last | None:
        """The last event of a cache channel."""
        last = self._last.get(app)
        return last.get(channel) if last is not None else None

    def cached(self, app: str, name: str, position: Mapping[StreamId, int]) -> list[bytes]:
        """What follows the answer on a cache channel: its last event, unless the client has seen it, or a miss."""
        last = self.last(app, name)
        if last is None:
            return [system_event("pusher:cache_miss", channel=name)]
        return [last.frame] if last.seq > position.get(last.stream, 0) else []

    def apply(self, directory: Directory) -> None:
        """Forget the last events of channels that are cached no longer."""
        for app_id in list(self._last):
            app = directory.by_id(app_id)
            if app is None:
                del self._last[app_id]
            else:
                self._last[app_id].keep(lambda name, app=app: directory.is_cached(app, name))  # type: ignore[misc]

    def sweep(self, now: float, known: Mapping[StreamId, int], floors: Mapping[StreamId, int]) -> bool:
        """Forget some of what is too old; whether there is more to do at once."""
        more = self.history.sweep(now, known, floors, SWEEP_STEPS)
        return self.keys.sweep(now, SWEEP_STEPS) or more


def encoded(event: Event, stream: StreamId, seq: int) -> ChannelEvents:
    """The frames of an event."""
    return ChannelEvents(event.name, event.data, event_id(stream, seq), public_key(event))

"""What all nodes' clients amount to: how many are subscribed, and who is present."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wsnode.domain.channel import Channel
from wsnode.domain.counts import Counts, Key
from wsnode.domain.deliveries import Delivery
from wsnode.domain.directory import Directory
from wsnode.domain.frames import member_added, member_removed, system_event
from wsnode.domain.messages import Join, Notice, Payload, StreamId, SubscriptionCount, node_of
from wsnode.domain.presence import Change, Presence
from wsnode.domain.runs import Runs
from wsnode.domain.subscriptions import Subscriptions
from wsnode.domain.transitions import Transition
from wsnode.domain.wire import Snapshot


class Clientele:
    """Takes what nodes say of their clients, in notices and snapshots, and tells this node's subscribers what changes.

    A change at this node too counts from when its notice comes back on the own stream, so that what a snapshot says is
    exactly what the own stream said up to its last message.
    """

    def __init__(
        self,
        stream: StreamId,
        subscriptions: Subscriptions,
        directory: Callable[[], Directory],
        observe: Callable[[Transition], None],
    ) -> None:
        self.announcements: list[Payload] = []
        """What is to be published on the own stream; whoever publishes takes it away."""
        self.presence = Presence()
        self.counts = Counts(node_of(stream), subscriptions.announced, self.announcements, self._occupied)
        self._runs = Runs(stream)
        self._subscriptions = subscriptions
        self._directory = directory
        self._observe = observe

    def changed(self, channel: Channel, key: Key, now: float) -> None:
        """A channel got or lost a subscriber here."""
        if channel.counted or channel.watched:
            self.counts.changed(key, now)

    def take(self, stream: StreamId, seq: int, notice: Notice, now: float) -> list[Delivery]:
        """A stream brings a notice."""
        if not self._runs.counts(stream, seq, notice, now):
            return []
        node = node_of(stream)
        if isinstance(notice, SubscriptionCount):
            return self._tell_counts([self.counts.learn(node, notice, now)])
        return self._tell_members(
            self.presence.join(node, notice) if isinstance(notice, Join) else self.presence.leave(node, notice)
        )

    def replace(self, node: str, stream: StreamId, seq: int, snapshot: Snapshot, now: float) -> list[Delivery]:
        """A node's snapshot after message `seq` of its present stream."""
        followed = self._runs.snapshot(node, stream, seq, snapshot)
        return [] if followed is None else self._replaced(node, followed, now)

    def forget(self, node: str, now: float) -> list[Delivery]:
        """A node is gone, and its clients with it."""
        self._runs.forget(node)
        return self._replaced(node, Snapshot(), now)

    def tick(self, now: float) -> list[Delivery]:
        """Tell the counts that waited."""
        self._runs.tick(now)
        return self._tell_counts(self.counts.tick(now))

    def channels(self, app: str) -> set[str]:
        """The app's channels that have members, or subscribers as far as they are announced, in the whole cluster."""
        return {*self.counts.channels(app), *self.presence.channels(app)}

    # ---

    def _occupied(self, key: Key, occupied: bool) -> None:
        self._observe(Transition("channel_occupied" if occupied else "channel_vacated", *key))

    def _replaced(self, node: str, snapshot: Snapshot, now: float) -> list[Delivery]:
        members = self._tell_members(self.presence.replace(node, snapshot.present))
        return [*members, *self._tell_counts(self.counts.replace(node, snapshot.counts, now))]

    def _tell_members(self, changes: Iterable[Change]) -> list[Delivery]:
        deliveries = []
        for key, user, info in changes:
            self._observe(Transition("member_removed" if info is None else "member_added", *key, user=user))
            channel = self._subscriptions.find(key)
            if channel is not None and channel.members is not None:
                # A user is not told of itself: its own subscribers know from the answer that they are there.
                others = channel.sessions - channel.members.of(user)
                frame = member_removed(key[1], user) if info is None else member_added(key[1], user, info)
                deliveries.append(Delivery(frame, others))
        return deliveries

    def _tell_counts(self, keys: Iterable[Key | None]) -> list[Delivery]:
        deliveries = []
        directory = self._directory()
        for key in keys:
            app = directory.by_id(key[0]) if key is not None else None
            if key is None or app is None or not directory.rule_for(app, key[1]).subscription_count:
                continue
            number, channel = self.counts.total(key), self._subscriptions.find(key)
            self._observe(Transition("subscription_count", *key, number=number))
            if channel is not None:
                frame = system_event("pusher_internal:subscription_count", {"subscription_count": number}, key[1])
                deliveries.append(Delivery(frame, channel.sessions))
        return deliveries

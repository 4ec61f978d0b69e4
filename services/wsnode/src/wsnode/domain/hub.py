"""Who is connected and subscribed at this node, and who gets what: decided here, written by the edge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from wsmesh.contract import App
from wsnode.domain.channel import Channel
from wsnode.domain.counts import Counts, Key
from wsnode.domain.deliveries import Delivery, Effects, Joined
from wsnode.domain.directory import Directory
from wsnode.domain.events import Events
from wsnode.domain.frames import succeeded, system_event
from wsnode.domain.history import History
from wsnode.domain.keys import Keys
from wsnode.domain.last_events import Last
from wsnode.domain.messages import Event, Message, Payload, StreamId, SubscriptionCount, Terminate, node_of
from wsnode.domain.resuming import Resuming
from wsnode.domain.runs import Runs
from wsnode.domain.sessions import Sessions
from wsnode.domain.subscriptions import Subscriptions
from wsnode.domain.transitions import Transition

if TYPE_CHECKING:
    from wsnode.domain.session import Session

__all__ = ["Delivery", "Effects", "Hub", "Joined"]


class Hub:
    """Puts its parts together: sessions, subscriptions, events, resuming, and what all nodes' clients amount to.

    `stream` is that of this run of this node. `position` is how far each stream has been delivered here, and `floors`
    up to where each may be incomplete here. `time_of_day` is in seconds since the epoch, `now` in steady seconds.
    `observe` is told what happens to channels, in the midst of it: it must not call the hub.

    After each call, whoever drives the hub puts all `announcements` on the own stream and hands that message back with
    `deliver`, before the next call.
    """

    def __init__(
        self,
        stream: StreamId,
        directory: Directory,
        history: History,
        *,
        position: Callable[[], dict[StreamId, int]],
        floors: Callable[[], Mapping[StreamId, int]],
        time_of_day: Callable[[], float],
        observe: Callable[[Transition], None] = lambda _: None,
    ) -> None:
        self.directory = directory
        self._position = position
        self._floors = floors
        self._time_of_day = time_of_day
        self._observe = observe
        self._sessions = Sessions()
        self._subscriptions = Subscriptions()
        self._events = Events(history)
        self._resuming = Resuming(history, self._subscriptions, position, floors)
        self._runs = Runs(stream)
        self.announcements: list[Payload] = []
        """What is to be published on the own stream; whoever publishes takes it away."""
        self.counts = Counts(node_of(stream), self._subscriptions.announced, self.announcements, self._occupied)

    # --- figures

    @property
    def subscriptions(self) -> int:
        """Subscriptions of this node's clients."""
        return self._subscriptions.number

    @property
    def history(self) -> History:
        """The last events of all channels."""
        return self._events.history

    @property
    def keys(self) -> Keys:
        """The events that were published with an idempotency key."""
        return self._events.keys

    @property
    def replayed(self) -> int:
        """Events that clients had missed and got when they resumed."""
        return self._resuming.replayed

    @property
    def repeated(self) -> int:
        """Events that were not delivered since one with the same idempotency key was before."""
        return self._events.repeated

    # --- sessions

    def sessions_of(self, app: str) -> Iterator[Session]:
        """This node's sessions of an app."""
        return self._sessions.of_app(app)

    def add(self, session: Session) -> None:
        """Take a new session."""
        self._sessions.add(session)

    def remove(self, session: Session, now: float) -> None:
        """Forget a session and its subscriptions."""
        for channel in list(session.channels):
            self.unsubscribe(session, channel, now)
        self._resuming.remove(session)
        self._sessions.remove(session)

    def signed_in(self, session: Session, user: str, now: float) -> None:
        """A session proved which user it is."""
        self._sessions.signed_in(session, user, now)

    def is_full(self, app: App) -> bool:
        """Whether the app has as many connections in the cluster as it may."""
        return self._sessions.is_full(app)

    def connections_by_app(self) -> dict[str, int]:
        """This node's connections of each app."""
        return self._sessions.by_app()

    def set_remote_connections(self, node: str, connections: dict[str, int]) -> None:
        """What another node says of its connections."""
        self._sessions.set_remote(node, connections)

    # --- channels

    def subscribe(
        self, session: Session, app: App, name: str, now: float, position: dict[StreamId, int] | None = None
    ) -> Joined:
        """Subscribe; with a `position` the client resumes from there, or, if it is empty, only wants to know it.

        Raises WrongPosition, and then nothing has changed. On a cache channel its last event or a miss follows the
        answer, unless the client resumes.
        """
        start = None if position is None else self._resuming.start(session, position)
        channel = self._subscriptions.join(session, app, name, self.directory)
        self._changed(channel, (app.id, name), now)
        resumed = None if start is None else self._resuming.resume(session, (app.id, name), channel, start, now)
        answer = succeeded(name, None if resumed is None else resumed.data)
        if resumed is not None and resumed.recovered:
            return Joined([answer], resumed.missed)
        if not channel.cached:
            return Joined([answer])
        if self._events.last(app.id, name) is None:
            self._observe(Transition("cache_miss", app.id, name))
        return Joined([answer, *self._events.cached(app.id, name, position or {})])

    def unsubscribe(self, session: Session, name: str, now: float) -> None:
        """End a subscription that there is."""
        channel = self._subscriptions.leave(session, name)
        self._changed(channel, (session.app_id, name), now)

    def channel_counts(self, app: str, prefix: str = "", channels: Iterable[str] | None = None) -> dict[str, int]:
        """This node's subscribers of the app's channels that begin with `prefix`, or of those named.

        The channels that are a user's own are left out unless `prefix` begins like them.
        """
        return self._subscriptions.counts(app, prefix, channels)

    def last_event(self, app: str, channel: str) -> Last | None:
        """The last event of a cache channel."""
        return self._events.last(app, channel)

    # --- what streams bring

    def deliver(self, stream: StreamId, message: Message, now: float) -> Effects:
        """Take the next message of a stream, of this node or another."""
        payload = message.payload
        if isinstance(payload, Event):
            channels = self._subscriptions.of(payload.app)
            return Effects(self._events.take(payload, stream, message, self.directory, channels, now))
        if isinstance(payload, Terminate):
            age = max(0.0, self._time_of_day() - message.at / 1000) if message.at else 0.0
            return Effects(closes=self._sessions.terminated(payload.app, payload.user, age, now))
        if not self._runs.message(stream, message.seq):
            return Effects()
        return self._tell([self.counts.learn(node_of(stream), payload, now)])

    def forget_node(self, node: str, now: float) -> Effects:
        """A node is gone, and its subscribers and connections with it."""
        self._sessions.forget_node(node)
        self._runs.forget(node)
        return self._tell(self.counts.forget_node(node, now))

    def replace_node(
        self,
        node: str,
        stream: StreamId,
        seq: int,
        connections: dict[str, int],
        counts: list[SubscriptionCount],
        now: float,
    ) -> Effects:
        """A node said what all its clients amount to after message `seq` of its present stream.

        Of that node only later counts of that stream are believed from then on.
        """
        self._sessions.set_remote(node, connections)
        if not self._runs.snapshot(node, stream, seq):
            return Effects()
        return self._tell(self.counts.replace(node, counts, now))

    def own_counts(self) -> list[SubscriptionCount]:
        """What a peer that knows nothing of this node needs to know of its subscription counts."""
        return self.counts.own()

    # --- time

    def tick(self, now: float) -> Effects:
        """Tell the subscription counts that waited, and clients their positions. Call it about every second."""
        deliveries = [*self._tell(self.counts.tick(now)).deliveries, *self._resuming.tell(now)]
        return Effects(deliveries)

    def sweep(self, now: float) -> bool:
        """Forget some of what is too old; whether there is more to do at once. Call it about every second."""
        return self._events.sweep(now, self._position(), self._floors())

    # --- configuration

    def apply(self, directory: Directory, now: float) -> Effects:
        """Take a new configuration: connections of apps that are gone or disabled are to be closed."""
        self.directory = directory
        self._events.apply(directory)
        for key in self._subscriptions.apply(directory):
            self.counts.changed(key, now)
        return Effects(closes=self._sessions.shut_out(directory))

    # ---

    def _changed(self, channel: Channel, key: Key, now: float) -> None:
        if channel.counted or channel.watched:
            self.counts.changed(key, now)

    def _occupied(self, key: Key, occupied: bool) -> None:
        self._observe(Transition("channel_occupied" if occupied else "channel_vacated", *key))

    def _tell(self, keys: Iterable[Key | None]) -> Effects:
        deliveries = []
        for key in keys:
            app = self.directory.by_id(key[0]) if key is not None else None
            if key is None or app is None or not self.directory.rule_for(app, key[1]).subscription_count:
                continue
            number, channel = self.counts.total(key), self._subscriptions.find(key)
            self._observe(Transition("subscription_count", *key, number=number))
            if channel is not None:
                frame = system_event("pusher_internal:subscription_count", {"subscription_count": number}, key[1])
                deliveries.append(Delivery(frame, channel.sessions))
        return Effects(deliveries)

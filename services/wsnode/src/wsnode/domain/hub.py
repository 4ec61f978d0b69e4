"""Who is connected and subscribed at this node, and who gets what: decided here, written by the edge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from wsmesh.channels import kind_of
from wsmesh.contract import App
from wsnode.domain.clientele import Clientele
from wsnode.domain.counts import Key
from wsnode.domain.deliveries import Delivery, Effects, Joined, Listening
from wsnode.domain.directory import Directory
from wsnode.domain.events import Events
from wsnode.domain.frames import present, succeeded
from wsnode.domain.history import Entry, History
from wsnode.domain.keys import Keys
from wsnode.domain.last_events import Last
from wsnode.domain.member import Member
from wsnode.domain.messages import (
    Event,
    Join,
    Leave,
    Message,
    StreamId,
    Terminate,
    Unknown,
    WebhookPayload,
    node_of,
)
from wsnode.domain.resuming import Resuming
from wsnode.domain.sessions import Sessions
from wsnode.domain.subscriptions import Subscriptions
from wsnode.domain.transitions import Transition
from wsnode.domain.wire import Snapshot

if TYPE_CHECKING:
    from wsnode.domain.session import Session

__all__ = ["Delivery", "Effects", "Hub", "Joined", "Listening"]


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
        self._resuming = Resuming(stream, history, self._subscriptions, position, floors)
        self._clientele = Clientele(stream, self._subscriptions, lambda: self.directory, observe)
        self._presence = self._clientele.presence
        self._node = node_of(stream)
        self.counts = self._clientele.counts
        self.announcements = self._clientele.announcements
        """What is to be published on the own stream; whoever publishes takes it away."""

    # --- figures

    @property
    def subscriptions(self) -> int:
        """Subscriptions of this node's clients."""
        return self._subscriptions.number

    @property
    def present(self) -> int:
        """Members of presence channels in the cluster, a user once in each channel."""
        return self._presence.number

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
        for channel in sorted(session.channels):
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
        self,
        session: Session,
        app: App,
        name: str,
        now: float,
        position: dict[StreamId, int] | None = None,
        member: Member | None = None,
    ) -> Joined:
        """Subscribe; with a `position` the client resumes from there, or, if it is empty, only wants to know it.

        Raises WrongPosition, and then nothing has changed. On a cache channel its last event or a miss follows the
        answer, unless the client resumes. A presence channel needs a `member`; its answer names who is present.
        """
        assert member is not None or not kind_of(name).presence
        key = app.id, name
        start = None if position is None else self._resuming.start(session, position)
        channel = self._subscriptions.join(session, app, name, self.directory)
        self._clientele.changed(channel, key, now)
        data: dict[str, Any] = {}
        if member is not None and channel.members is not None:
            if channel.members.add(session, member.user):
                self.announcements.append(Join(*key, *member))
            data = present({member.user: member.info, **self._presence.users(key)})
        resumed = None if start is None else self._resuming.resume(session, key, channel, start, now)
        answer = succeeded(name, data if resumed is None else data | resumed.data)
        if resumed is not None and resumed.recovered:
            return Joined([answer], resumed.missed)
        seen = {} if start is None else start.position
        return Joined([answer, *(self._cached(key, seen) if channel.cached else ())])

    def listen(
        self, session: Session, app: App, names: Iterable[str], now: float, position: dict[StreamId, int]
    ) -> Listening:
        """Subscribe a new session to several channels from one position; from an empty one it only wants to know it.

        Raises WrongPosition, and then nothing has changed.
        """
        start = self._resuming.start(session, position)
        answers: list[bytes] = []
        missed: list[tuple[str, Entry]] = []
        for name in names:
            key = app.id, name
            channel = self._subscriptions.join(session, app, name, self.directory)
            self._clientele.changed(channel, key, now)
            entries = self._resuming.missed(session, key, channel, start, now)
            answers.append(succeeded(name, {"recovered": entries is not None}))
            if entries is None and channel.cached:
                answers += self._cached(key, start.position)
            missed += ((name, entry) for entry in entries or ())
        missed.sort(key=lambda it: (it[1].at, it[1].stream, it[1].seq))
        return Listening(answers, missed, start.known | start.ahead, start.ahead)

    def ahead(self, session: Session, now: float) -> dict[StreamId, int]:
        """What a session has seen that is still not here."""
        return self._resuming.ahead(session, now)

    def position(self) -> dict[StreamId, int]:
        """How far each stream has come here."""
        return self._position()

    def unsubscribe(self, session: Session, name: str, now: float) -> None:
        """End a subscription that there is."""
        channel = self._subscriptions.leave(session, name)
        self._clientele.changed(channel, (session.app_id, name), now)
        gone = channel.members.remove(session) if channel.members is not None else None
        if gone is not None:
            self.announcements.append(Leave(session.app_id, name, gone))

    def is_channel_full(self, app: App, name: str, user: str) -> bool:
        """Whether a presence channel has as many members as its rule allows, and this user is none of them."""
        key = app.id, name
        limit = self.directory.rule_for(app, name).presence_max_members
        return self._presence.count(key) >= limit and not self._presence.has(key, user)

    def channel_counts(self, app: str, prefix: str = "", channels: Iterable[str] | None = None) -> dict[str, int]:
        """This node's subscribers of the app's channels that begin with `prefix`, or of those named.

        The channels that are a user's own are left out unless `prefix` begins like them.
        """
        return self._subscriptions.counts(app, prefix, channels)

    def users(self, app: str, prefix: str = "", channels: Iterable[str] | None = None) -> dict[str, list[str]]:
        """The users at this node of the app's presence channels that begin with `prefix`, or of those named."""
        return self._subscriptions.users(app, prefix, channels)

    def users_at(
        self, node: str, app: str, prefix: str = "", channels: Iterable[str] | None = None
    ) -> dict[str, list[str]]:
        """The same of another node, as far as it has said so."""
        users: dict[str, list[str]] = {}
        for join in self._presence.at(node):
            name = join.channel
            if join.app == app and (name in channels if channels is not None else name.startswith(prefix)):
                users.setdefault(name, []).append(join.user)
        return users

    def members(self, app: str, channel: str) -> Mapping[str, str]:
        """The users of a presence channel in the whole cluster, as far as this node knows: each one's info (JSON)."""
        return self._presence.users((app, channel))

    def channels(self, app: str) -> set[str]:
        """The app's channels that have members, or subscribers as far as they are announced, in the whole cluster."""
        return self._clientele.channels(app)

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
        if isinstance(payload, Unknown | WebhookPayload):
            return Effects()
        return Effects(self._clientele.take(stream, message.seq, payload, now))

    def forget_node(self, node: str, now: float) -> Effects:
        """A node is gone, and its subscribers and connections with it."""
        self._sessions.forget_node(node)
        return Effects(self._clientele.forget(node, now))

    def replace_node(self, node: str, stream: StreamId, seq: int, snapshot: Snapshot, now: float) -> Effects:
        """A node said what all its clients amount to after message `seq` of its present stream.

        Of that node only later notices of that stream count from then on; those that are here already are not lost.
        """
        self._sessions.set_remote(node, snapshot.connections)
        return Effects(self._clientele.replace(node, stream, seq, snapshot, now))

    def snapshot(self) -> Snapshot:
        """What this node's clients amount to, for a peer that has not followed the own stream from its start."""
        return Snapshot(self.connections_by_app(), self.counts.own(), self._presence.at(self._node))

    # --- time

    def tick(self, now: float) -> Effects:
        """Tell the subscription counts that waited, and clients their positions. Call it about every second."""
        return Effects([*self._clientele.tick(now), *self._resuming.tell(now)])

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

    def _cached(self, key: Key, position: Mapping[StreamId, int]) -> list[bytes]:
        if self._events.last(*key) is None:
            self._observe(Transition("cache_miss", *key))
        return self._events.cached(*key, position)

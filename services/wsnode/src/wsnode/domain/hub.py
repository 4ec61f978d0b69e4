"""Who is connected and subscribed at this node, and who gets what: decided here, written by the edge."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from wsmesh.channels import kind_of
from wsmesh.contract import App
from wsnode.domain import close_codes
from wsnode.domain.channel import Ahead, Channel
from wsnode.domain.close_codes import Close
from wsnode.domain.counts import Counts, Key
from wsnode.domain.directory import DEFAULT_RULE, Directory
from wsnode.domain.frames import ChannelEvents, position_told, succeeded, system_event
from wsnode.domain.history import OVERHEAD, Entry, History
from wsnode.domain.keys import Keys, public_key
from wsnode.domain.last_events import Last, LastEvents
from wsnode.domain.messages import Event, Message, StreamId, SubscriptionCount, Terminate, event_id, node_of
from wsnode.domain.position import MAX_STREAMS, WrongPosition, ahead_of
from wsnode.domain.rota import Rota

if TYPE_CHECKING:
    from wsnode.domain.session import Session

SKEW = 2.0
"""Seconds by which two nodes' clocks may differ where a message ends the connections that were there before it."""

MAX_AHEAD = 4 * MAX_STREAMS
"""Numbers that are kept at most for a session that has seen what is not here yet."""

SWEEP_STEPS = 2_000
"""Events and keys that are forgotten in one go, a few milliseconds of work."""


class Delivery(NamedTuple):
    """A frame, and the sessions that get it except the one with the socket id `exclude`.

    `sessions` is the hub's own collection: write at once, before anything else touches the hub.
    """

    frame: bytes
    sessions: Collection[Session]
    exclude: str | None = None


class Effects(NamedTuple):
    """What the edge is to do: first write, then close."""

    deliveries: Sequence[Delivery] = ()
    closes: Sequence[tuple[Session, Close]] = ()


class Joined(NamedTuple):
    """The answer to a subscribe, and the events that the client has missed, in order, with its position after them."""

    frames: list[bytes]
    missed: Sequence[bytes] = ()


class Hub:
    """The sessions of a node by app, user and channel, the history of all channels and the last events of some.

    `stream` is that of this run of this node. `position` is how far each stream has been delivered here, and `floors`
    up to where each may be incomplete here. `time_of_day` is in seconds since the epoch, `now` in steady seconds.
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
    ) -> None:
        self.directory = directory
        self.subscriptions = 0
        self.history = history
        self.keys = Keys(history.max_seconds)
        self.replayed = 0
        """Events that clients had missed and got when they resumed."""
        self.repeated = 0
        """Events that were not delivered since one with the same idempotency key was before."""
        self.counts = Counts(node_of(stream), self._own_count)
        self._stream = stream
        self._position = position
        self._floors = floors
        self._time_of_day = time_of_day
        self._sessions: dict[str, set[Session]] = {}
        self._users: dict[tuple[str, str], set[Session]] = {}
        self._channels: dict[str, dict[str, Channel]] = {}
        self._last: dict[str, LastEvents] = {}
        self._remote: dict[str, dict[str, int]] = {}
        self._snapshots: dict[str, tuple[StreamId, int]] = {}
        self._rota = Rota(history.max_seconds)

    # --- sessions

    def add(self, session: Session) -> None:
        """Take a new session."""
        self._sessions.setdefault(session.app_id, set()).add(session)

    def remove(self, session: Session, now: float) -> None:
        """Forget a session and its subscriptions."""
        for channel in list(session.channels):
            self.unsubscribe(session, channel, now)
        self._rota.remove(session)
        _discard(self._sessions, session.app_id, session)
        if session.user is not None:
            _discard(self._users, (session.app_id, session.user), session)

    def signed_in(self, session: Session, user: str, now: float) -> None:
        """A session proved which user it is."""
        if session.user is None:
            session.user, session.signed_in_at = user, now
        self._users.setdefault((session.app_id, user), set()).add(session)

    def is_full(self, app: App) -> bool:
        """Whether the app has as many connections in the cluster as it may."""
        limit = app.limits.max_connections
        if not limit:
            return False
        remote = sum(counts.get(app.id, 0) for counts in self._remote.values())
        return remote + len(self._sessions.get(app.id, ())) >= limit

    def connections_by_app(self) -> dict[str, int]:
        """This node's connections of each app."""
        return {app: len(sessions) for app, sessions in self._sessions.items()}

    def set_remote_connections(self, node: str, connections: dict[str, int]) -> None:
        """What another node says of its connections."""
        self._remote[node] = connections

    # --- channels

    def subscribe(
        self, session: Session, app: App, name: str, now: float, position: dict[StreamId, int] | None = None
    ) -> Joined:
        """Subscribe; with a `position` the client resumes from there, or, if it is empty, only wants to know it.

        Raises WrongPosition, and then nothing has changed. On a cache channel its last event or a miss follows the
        answer, unless the client resumes.
        """
        known = {} if position is None else self._position()
        ahead = {} if position is None else self._ahead(session, position, known)
        channel = self._join(session, app, name, now)
        if position is None:
            return Joined([succeeded(name), *self._cached(app.id, name, channel, {})])
        missed = self.history.missed((app.id, name), position, known, self._floors()) if position else None
        if ahead:
            channel.ahead[session] = Ahead(ahead, now + 2 * self.history.max_seconds)
        self._rota.add(session, now)
        answer = succeeded(name, {"recovered": missed is not None, "position": known | ahead})
        if missed is None:
            return Joined([answer, *self._cached(app.id, name, channel, position)])
        self.replayed += len(missed)
        # The position is good only once the missed events are through: a client may be cut off in their midst.
        frames = [_framed(entry, name) for entry in missed]
        return Joined([answer], [*frames, position_told(known | ahead, name)])

    def unsubscribe(self, session: Session, name: str, now: float) -> None:
        """End a subscription that there is."""
        channels = self._channels[session.app_id]
        channel = channels[name]
        channel.sessions.remove(session)
        channel.ahead.pop(session, None)
        session.channels.remove(name)
        self.subscriptions -= 1
        if not channel.sessions:
            del channels[name]
            if not channels:
                del self._channels[session.app_id]
        if channel.counted:
            self.counts.changed((session.app_id, name), now)

    def channel_counts(self, app: str, prefix: str = "", channels: Iterable[str] | None = None) -> dict[str, int]:
        """This node's subscribers of the app's channels that begin with `prefix`, or of those named.

        The channels that are a user's own are left out unless `prefix` begins like them.
        """
        there = self._channels.get(app, {})
        if channels is not None:
            return {name: len(there[name].sessions) for name in channels if name in there}
        return {
            name: len(channel.sessions)
            for name, channel in there.items()
            if name.startswith(prefix) and (prefix.startswith("#") or not name.startswith("#"))
        }

    def last_event(self, app: str, channel: str) -> Last | None:
        """The last event of a cache channel."""
        last = self._last.get(app)
        return last.get(channel) if last is not None else None

    # --- what streams bring

    def deliver(self, stream: StreamId, message: Message, now: float) -> Effects:
        """Take the next message of a stream, of this node or another."""
        payload = message.payload
        if isinstance(payload, Event):
            return Effects(self._event(payload, stream, message, now))
        if isinstance(payload, Terminate):
            return self._terminate(payload, message.at, now)
        node = node_of(stream)
        if stream != self._stream:
            of, seq = self._snapshots.get(node, ("", 0))
            if stream != of or message.seq <= seq:
                return Effects()
            self._snapshots[node] = (stream, message.seq)
        return self._tell([self.counts.learn(node, payload, now)])

    def forget_node(self, node: str, now: float) -> Effects:
        """A node is gone, and its subscribers and connections with it."""
        self._remote.pop(node, None)
        self._snapshots.pop(node, None)
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
        self._remote[node] = connections
        of, known = self._snapshots.get(node, ("", 0))
        if stream == of and seq < known:
            return Effects()
        self._snapshots[node] = (stream, seq)
        return self._tell(self.counts.replace(node, counts, now))

    def tick(self, now: float) -> Effects:
        """Tell the subscription counts that waited, and clients their positions. Call it about every second."""
        deliveries = [*self._tell(self.counts.tick(now)).deliveries, *self._tell_positions(now)]
        return Effects(deliveries)

    def sweep(self, now: float) -> bool:
        """Forget some of what is too old; whether there is more to do at once. Call it about every second."""
        more = self.history.sweep(now, self._position(), self._floors(), SWEEP_STEPS)
        return self.keys.sweep(now, SWEEP_STEPS) or more

    def own_counts(self) -> list[SubscriptionCount]:
        """What a peer that knows nothing of this node needs to know of its subscription counts."""
        return self.counts.own()

    # --- configuration

    def apply(self, directory: Directory, now: float) -> Effects:
        """Take a new configuration: connections of apps that are gone or disabled are to be closed."""
        self.directory = directory
        closes: list[tuple[Session, Close]] = []
        for app_id, sessions in self._sessions.items():
            app = directory.by_id(app_id)
            for session in sessions:
                if app is None or app.key != session.key:
                    closes.append((session, close_codes.UNKNOWN_APP))
                elif not app.enabled:
                    closes.append((session, close_codes.APP_DISABLED))
        for app_id in list(self._last):
            app = directory.by_id(app_id)
            if app is None:
                del self._last[app_id]
            else:
                self._last[app_id].keep(lambda name, app=app: self._is_cached(app, name))  # type: ignore[misc]
        for app in directory.apps:
            for name, channel in self._channels.get(app.id, {}).items():
                channel.cached = self._is_cached(app, name)
                counted = directory.rule_for(app, name).subscription_count
                if counted != channel.counted:
                    channel.counted = counted
                    self.counts.changed((app.id, name), now)
        return Effects(closes=closes)

    # ---

    def _event(self, event: Event, stream: StreamId, message: Message, now: float) -> list[Delivery]:
        seq, also = message.seq, None
        if event.key is not None:
            first = self.keys.find(event)
            if first is not None:
                first.also.append((stream, seq))
                self.repeated += 1
                return []
            also = self.keys.add(event, stream, seq, now).also
        # The history also takes what this node does not know the app of yet.
        app = self.directory.by_id(event.app)
        channels = self._channels.get(event.app, {})
        frames: ChannelEvents | None = None
        deliveries = []
        for name in event.channels:
            channel = channels.get(name)
            rule = DEFAULT_RULE if app is None else self.directory.rule_for(app, name)
            cached = (rule.cache or kind_of(name).cache) if channel is None else channel.cached
            body: Event | bytes = event
            if app is not None and (channel is not None or cached):
                if frames is None:
                    frames = _encoded(event, stream, seq)
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

    def _terminate(self, payload: Terminate, at: int, now: float) -> Effects:
        """Close the user's connections; of a message that comes late only those that were there before it."""
        age = max(0.0, self._time_of_day() - at / 1000) if at else 0.0
        since = now - age + SKEW
        sessions = self._users.get((payload.app, payload.user), ())
        return Effects(closes=[(each, close_codes.TERMINATED) for each in sessions if each.signed_in_at <= since])

    def _join(self, session: Session, app: App, name: str, now: float) -> Channel:
        channels = self._channels.setdefault(app.id, {})
        channel = channels.get(name)
        if channel is None:
            counted = self.directory.rule_for(app, name).subscription_count
            channel = channels[name] = Channel(cached=self._is_cached(app, name), counted=counted)
        channel.sessions.add(session)
        session.channels.add(name)
        self.subscriptions += 1
        if channel.counted:
            self.counts.changed((app.id, name), now)
        return channel

    def _cached(self, app: str, name: str, channel: Channel, position: Mapping[StreamId, int]) -> list[bytes]:
        """What follows the answer on a cache channel: its last event, unless the client has seen it, or a miss."""
        if not channel.cached:
            return []
        last = self.last_event(app, name)
        if last is None:
            return [system_event("pusher:cache_miss", channel=name)]
        return [last.frame] if last.seq > position.get(last.stream, 0) else []

    def _ahead(
        self, session: Session, position: dict[StreamId, int], known: dict[StreamId, int]
    ) -> dict[StreamId, int]:
        ahead = ahead_of(position, known)
        if ahead:
            channels = self._channels.get(session.app_id, {})
            there = (channels[name].ahead.get(session) for name in session.channels)
            if len(ahead) + sum(len(it.numbers) for it in there if it is not None) > MAX_AHEAD:
                raise WrongPosition("The positions of this connection name too many messages that are not here yet")
        return ahead

    def _tell_positions(self, now: float) -> list[Delivery]:
        """Tell some of those that resume what they have seen by now: events alone do not say it on quiet channels."""
        sessions = self._rota.due(now)
        if not sessions:
            return []
        known = self._position()
        deliveries = [Delivery(position_told(known), sessions)]
        for session in sessions:
            channels = self._channels.get(session.app_id, {})
            for name in session.channels:
                ahead = channels[name].still_ahead(session, known, now)
                if ahead:
                    deliveries.append(Delivery(position_told(known | ahead, name), [session]))
        return deliveries

    def _tell(self, keys: Iterable[Key | None]) -> Effects:
        deliveries = []
        for key in keys:
            channel = self._channels.get(key[0], {}).get(key[1]) if key is not None else None
            if key is not None and channel is not None and channel.counted:
                data = {"subscription_count": self.counts.total(key)}
                frame = system_event("pusher_internal:subscription_count", data, key[1])
                deliveries.append(Delivery(frame, channel.sessions))
        return Effects(deliveries)

    def _own_count(self, key: Key) -> int:
        channel = self._channels.get(key[0], {}).get(key[1])
        return len(channel.sessions) if channel is not None and channel.counted else 0

    def _is_cached(self, app: App, channel: str) -> bool:
        return kind_of(channel).cache or self.directory.rule_for(app, channel).cache


def _discard(sets: dict[Any, set[Session]], key: object, session: Session) -> None:
    there = sets.get(key)
    if there is not None:
        there.discard(session)
        if not there:
            del sets[key]


def _encoded(event: Event, stream: StreamId, seq: int) -> ChannelEvents:
    return ChannelEvents(event.name, event.data, event_id(stream, seq), public_key(event))


def _framed(entry: Entry, channel: str) -> bytes:
    if isinstance(entry.body, Event):
        entry.body = _encoded(entry.body, entry.stream, entry.seq).frame(channel)
    return entry.body

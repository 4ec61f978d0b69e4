"""Who is connected and subscribed at this node, and who gets what: decided here, written by the edge."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from wsmesh.channels import kind_of
from wsmesh.contract import App
from wsnode.domain import close_codes
from wsnode.domain.close_codes import Close
from wsnode.domain.counts import Counts, Key
from wsnode.domain.directory import Directory
from wsnode.domain.frames import ChannelEvents, system_event
from wsnode.domain.last_events import LastEvents
from wsnode.domain.messages import Event, Message, StreamId, SubscriptionCount, Terminate, event_id, node_of

if TYPE_CHECKING:
    from wsnode.domain.session import Session


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


class Channel:
    """A channel that has subscribers here."""

    __slots__ = ("cached", "counted", "sessions")

    def __init__(self, *, cached: bool, counted: bool) -> None:
        self.cached = cached
        self.counted = counted
        self.sessions: set[Session] = set()


class Hub:
    """The sessions of a node by app, user and channel, and the last events of cache channels."""

    def __init__(self, node: str, directory: Directory) -> None:
        self.directory = directory
        self.subscriptions = 0
        self.counts = Counts(node, self._own_count)
        self._sessions: dict[str, set[Session]] = {}
        self._users: dict[tuple[str, str], set[Session]] = {}
        self._channels: dict[str, dict[str, Channel]] = {}
        self._last: dict[str, LastEvents] = {}
        self._remote: dict[str, dict[str, int]] = {}

    # --- sessions

    def add(self, session: Session) -> None:
        """Take a new session."""
        self._sessions.setdefault(session.app_id, set()).add(session)

    def remove(self, session: Session, now: float) -> None:
        """Forget a session and its subscriptions."""
        for channel in list(session.channels):
            self.unsubscribe(session, channel, now)
        _discard(self._sessions, session.app_id, session)
        if session.user is not None:
            _discard(self._users, (session.app_id, session.user), session)

    def signed_in(self, session: Session, user: str) -> None:
        """A session proved which user it is."""
        session.user = user
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

    def subscribe(self, session: Session, app: App, name: str, now: float) -> bytes | None:
        """Subscribe; the frame that follows `subscription_succeeded` on a cache channel: its last event or a miss."""
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
        if not channel.cached:
            return None
        return self.last_event(app.id, name) or system_event("pusher:cache_miss", channel=name)

    def unsubscribe(self, session: Session, name: str, now: float) -> None:
        """End a subscription that there is."""
        channels = self._channels[session.app_id]
        channel = channels[name]
        channel.sessions.remove(session)
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

    def last_event(self, app: str, channel: str) -> bytes | None:
        """The frame of the last event of a cache channel."""
        last = self._last.get(app)
        return last.get(channel) if last is not None else None

    # --- what streams bring

    def deliver(self, stream: StreamId, message: Message, now: float) -> Effects:
        """Take the next message of a stream, of this node or another."""
        payload = message.payload
        if isinstance(payload, Event):
            return Effects(self._event(payload, event_id(stream, message.seq)))
        if isinstance(payload, Terminate):
            sessions = self._users.get((payload.app, payload.user), ())
            return Effects(closes=[(session, close_codes.TERMINATED) for session in sessions])
        return self._tell([self.counts.learn(node_of(stream), payload, now)])

    def forget_node(self, node: str, now: float) -> Effects:
        """A node is gone, and its subscribers and connections with it."""
        self._remote.pop(node, None)
        return self._tell(self.counts.forget_node(node, now))

    def replace_node(
        self, node: str, connections: dict[str, int], counts: list[SubscriptionCount], now: float
    ) -> Effects:
        """A node said what all its clients amount to."""
        self._remote[node] = connections
        return self._tell(self.counts.replace(node, counts, now))

    def tick(self, now: float) -> Effects:
        """Tell the subscription counts that waited. Call it about every second."""
        return self._tell(self.counts.tick(now))

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

    def _event(self, event: Event, id_: str) -> list[Delivery]:
        app = self.directory.by_id(event.app)
        if app is None:
            return []
        channels = self._channels.get(event.app, {})
        frames: ChannelEvents | None = None
        deliveries = []
        for name in event.channels:
            channel = channels.get(name)
            cached = self._is_cached(app, name) if channel is None else channel.cached
            if channel is None and not cached:
                continue
            if frames is None:
                frames = ChannelEvents(event.name, event.data, id_)
            frame = frames.frame(name)
            if cached:
                self._last.setdefault(event.app, LastEvents()).put(name, frame)
            if channel is not None:
                deliveries.append(Delivery(frame, channel.sessions, event.exclude))
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

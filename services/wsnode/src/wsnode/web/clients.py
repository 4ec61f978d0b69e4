"""All clients of a node: does what the hub decides, watches over silence, and counts."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import Counter
from collections.abc import Callable

from wsmesh.contract import App
from wsnode.domain import close_codes
from wsnode.domain.admission import admit
from wsnode.domain.close_codes import Close
from wsnode.domain.directory import Directory
from wsnode.domain.hub import Effects, Hub
from wsnode.domain.messages import Message, Payload, StreamId
from wsnode.domain.session import Session, new_socket_id
from wsnode.domain.sse import Texts
from wsnode.domain.wire import Snapshot
from wsnode.settings import NodeSettings
from wsnode.web.connection import Connection
from wsnode.web.outgoing import Outgoing
from wsnode.web.sse import SseConnection
from wsnode.web.wheel import Wheel

JITTER = 0.25
"""Part of ACTIVITY_TIMEOUT that is added at random, so that clients that came together are not pinged together."""

CLOSE_SECONDS = 5
"""How long the peer may take to end a connection that is being closed."""

DRAIN_STEP = 0.05
"""Seconds between two steps of a drain."""

NOTICE_SECONDS = 1.5
"""What the load balancer gets, at most, to notice that a node drains: one check of HAProxy, and a little."""
NOTICE_SHARE = 0.25
"""Part of a drain that this may take."""

SWEEP_PAUSE = 0.02
"""Seconds between two goes at what is too old, when one was not enough."""

FLUSH_BYTES = 65_536
"""Bytes of events that are gathered at most before they are written; a turn of the loop rarely has as many."""


class Clients:
    """The connections of a node.

    `announce` takes each payload that is to be published on the own stream (and delivered here as well).
    `now` is a steady clock in seconds. The figures are plain integers for whoever exports them.
    """

    def __init__(
        self,
        hub: Hub,
        settings: NodeSettings,
        *,
        announce: Callable[[Payload], object],
        now: Callable[[], float],
    ) -> None:
        self.hub = hub
        self.now = now
        self.ready = False
        """Whether the node has joined the cluster; before that it turns clients away for a moment."""
        self.draining = False
        self.connections: set[Outgoing] = set()
        self.wheel: Wheel[Outgoing] = Wheel(now())
        self.texts = Texts(hub.position)
        self.max_unsent_bytes = settings.max_unsent_bytes
        self.max_frame_bytes = settings.max_frame_bytes
        self.pong_timeout = settings.pong_timeout
        self._settings = settings
        self._announce = announce
        self._turned_away = close_codes.STOPPING
        self._to_flush: set[Session] = set()
        self._unflushed = 0
        self._sweeping: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self.sessions = 0
        self.opened = 0
        """Sessions since the start."""
        self.messages_in = 0
        """Text messages that clients sent."""
        self.messages_out = 0
        """Event frames written: one for each subscriber of each event."""
        self.pings = 0
        self.slow = 0
        """Clients closed since they did not read."""
        self.refused: Counter[int] = Counter()
        """Clients that were not let in, by code."""
        self.closed: Counter[int] = Counter()
        """Ended connections by close code; 1006: without one."""

    @property
    def activity_timeout(self) -> float:
        """Seconds of silence until a ping, a little different each time."""
        return self._settings.activity_timeout * (1 + random.random() * JITTER)  # noqa: S311

    @property
    def sse_seconds(self) -> int:
        """Seconds in which a client of server-sent events hears something."""
        return self._settings.sse_heartbeat

    @property
    def sse_heartbeat(self) -> float:
        """Seconds until such a client is written to, a little different each time."""
        return max(0.0, self.sse_seconds * (1 - random.random() * JITTER) - 1)  # noqa: S311 (the wheel rounds up)

    @property
    def unsent_bytes(self) -> int:
        """Bytes that wait for clients that have not read them yet."""
        return sum(connection.unsent_bytes for connection in self.connections)

    @property
    def event_streams(self) -> int:
        """Connections that are no WebSockets but server-sent events."""
        return sum(isinstance(connection, SseConnection) for connection in self.connections)

    # --- connections

    def arrived(self, connection: Connection, key: str, protocol: str | None, origin: str | None) -> None:
        """A handshake for `/app/{key}` is done: begin a session, or say why not."""
        app = self.busy() or admit(self.hub, key, protocol, origin)
        if isinstance(app, Close):
            self.refuse(connection, app)
            return
        session = self.enter(app)
        connection.open(session)
        connection.pending.append(session.established(self._settings.activity_timeout))
        connection.flush()

    def busy(self) -> Close | None:
        """Why nobody may come in now, whoever it is."""
        if not self.ready or self.draining:
            return self._turned_away if self.draining else close_codes.STARTING
        return close_codes.NODE_FULL if self.sessions >= self._settings.max_connections else None

    def enter(self, app: App) -> Session:
        """Begin the session of a client that may come in."""
        rate = self._settings.client_messages_per_second
        session = Session(self.hub, app, new_socket_id(secrets.randbits), rate, self.now())
        self.hub.add(session)
        self.sessions += 1
        self.opened += 1
        return session

    def refuse(self, connection: Connection, close: Close) -> None:
        """Turn a client away."""
        self.refused[close.code] += 1
        connection.close(close)

    def watch(self, connection: Outgoing) -> None:
        """Look at a connection when it may have become silent."""
        self.wheel.set(connection, self.now() + self.activity_timeout)

    def see_out(self, connection: Outgoing) -> None:
        """End a connection that is being closed, if its peer does not."""
        self.wheel.set(connection, self.now() + CLOSE_SECONDS)

    def left(self, session: Session) -> None:
        """A session is over."""
        self.sessions -= 1
        self.hub.remove(session, self.now())
        self.after_change()

    def lost(self, connection: Outgoing, code: int) -> None:
        """A transport is gone."""
        self.connections.discard(connection)
        self.wheel.drop(connection)
        self.closed[code] += 1
        if not self.connections:
            self._empty.set()

    # --- the hub's decisions

    def deliver(self, stream: StreamId, message: Message) -> None:
        """Write the next message of a stream to the clients that get it."""
        effects = self.hub.deliver(stream, message, self.now())
        with self.texts.after(stream, message):
            self._do(effects)

    def apply(self, directory: Directory) -> None:
        """Take a new configuration."""
        self._do(self.hub.apply(directory, self.now()))
        self.after_change()

    def forget_node(self, node: str) -> None:
        """A node is gone."""
        self._do(self.hub.forget_node(node, self.now()))

    def learn(self, node: str, stream: StreamId, seq: int, snapshot: Snapshot) -> None:
        """A node said what all its clients amount to after message `seq` of its stream."""
        self._do(self.hub.replace_node(node, stream, seq, snapshot, self.now()))

    def tick(self) -> None:
        """Look after silent clients and waiting counts. Call it every second."""
        now = self.now()
        for connection in self.wheel.pop(now):
            connection.check(now)
        self._do(self.hub.tick(now))
        self.after_change()
        self._sweep()

    def after_change(self) -> None:
        """Publish what the hub wants the other nodes to know."""
        waiting = self.hub.announcements
        while waiting:
            self._announce(waiting.pop(0))

    async def close_all(
        self,
        close: Close = close_codes.DRAINING,
        over: float = 0.0,
        *,
        turned_away: Close = close_codes.STOPPING,
    ) -> None:
        """Let no more clients in; close those there are, in random order, spread over `over` seconds; see them gone.

        The load balancer hears of it first. Until it has, this node, with ever fewer clients, is the one that it gives
        the closed ones back to: turned away, they would all come again a second later.
        """
        begun, notice = self.now(), min(NOTICE_SECONDS, over * NOTICE_SHARE)
        while self.connections and self.now() - begun < notice:  # noqa: ASYNC110 - `now` may not be the loop's
            await asyncio.sleep(DRAIN_STEP)
        self.draining, self._turned_away = True, turned_away
        over -= notice
        waiting = list(self.connections)
        random.shuffle(waiting)
        start, number = self.now(), len(waiting)
        while waiting:
            left = int(number * (1 - min(1.0, (self.now() - start) / over))) if over else 0
            for connection in waiting[left:]:
                connection.close(close)
            del waiting[left:]
            await asyncio.sleep(DRAIN_STEP)
        self._empty.clear()
        if self.connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._empty.wait()
        for connection in list(self.connections):
            connection.abort()

    def _sweep(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        again = self.hub.sweep(self.now())
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP_PAUSE, self._sweep) if again else None

    def _do(self, effects: Effects) -> None:
        for frame, sessions, exclude in effects.deliveries:
            if exclude is None:
                for session in sessions:
                    session.edge.pending.append(frame)
                self.messages_out += len(sessions)
            else:
                for session in sessions:
                    if session.socket_id != exclude:
                        session.edge.pending.append(frame)
                        self.messages_out += 1
            if not self._unflushed:
                asyncio.get_running_loop().call_soon(self._flush)
            self._to_flush.update(sessions)
            self._unflushed += len(frame)
            if self._unflushed > FLUSH_BYTES:
                self._flush()
        for session, close in effects.closes:
            session.edge.close(close)

    def _flush(self) -> None:
        """Write to each client, at once, all that was delivered in this turn of the loop."""
        sessions, self._to_flush, self._unflushed = self._to_flush, set(), 0
        for session in sessions:
            session.edge.flush()

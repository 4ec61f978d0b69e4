"""A client that resumes, written from docs/client-protocol.md, and tells the model what it sees."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from tests.simulation.clock import Clock
from tests.simulation.link import Link
from tests.simulation.model import Model
from tests.simulation.node import Node
from wsmesh.contract import App
from wsmesh.signature import channel_auth
from wsnode.domain.frames import payload_of
from wsnode.domain.messages import StreamId
from wsnode.domain.session import Session

RETRY = 0.4
"""Seconds, about, until a client that lost its connection tries again."""


class _Frame(msgspec.Struct):
    event: str
    channel: str = ""
    data: str | dict[str, Any] = ""
    id: str | None = None
    key: str | None = None


_decode = msgspec.json.Decoder(_Frame).decode
_encode = msgspec.json.Encoder().encode


class Client:
    """Stays subscribed to its channels, on whichever node takes it."""

    def __init__(
        self,
        name: str,
        channels: list[str],
        user: str,
        *,
        app: App,
        clock: Clock,
        random: Random,
        model: Model,
        choose: Callable[[], Node | None],
    ) -> None:
        self.name = name
        self.channels = channels
        self.user = user
        """Who it is in presence channels."""
        self.away = False
        self.rate = 0.0
        self.link: Link | None = None
        self.subscribed: set[str] = set()
        self.positions: dict[str, dict[StreamId, int]] = {}
        self._keys: dict[str, set[str]] = {}
        self._app, self._clock, self._random, self._model, self._choose = app, clock, random, model, choose
        self._sockets = 0
        self._socket = ""
        self._connecting = False

    # --- what it does

    def connect(self) -> None:
        """Find a node and subscribe there, unless it is connected or stays away."""
        if self.away or self.link is not None or self._connecting:
            return
        node = self._choose()
        if node is None:
            self._clock.after(RETRY, self.connect)
            return
        self._connecting = True
        delay = self._random.uniform(0.001, 0.1)
        self._clock.after(delay, lambda: self._arrive(node, delay))

    def leave(self) -> None:
        """Go away; it may come back with its positions."""
        self.away = True
        self.cut(node_notices=0.0)

    def come(self) -> None:
        """Come back."""
        self.away = False
        self.connect()

    def cut(self, node_notices: float) -> None:
        """Lose the connection, which the node may notice late."""
        if self.link is not None:
            self.link.cut(node_notices)
            self.lost(self.link)

    # --- what it is told

    def lost(self, link: Link) -> None:
        """Its connection has ended: try again soon."""
        if link is self.link:
            self.link = None
            self.subscribed.clear()
            self._clock.after(self._random.uniform(0.0, 2 * RETRY), self.connect)

    def receive(self, link: Link, frames: list[bytes]) -> None:
        """Take what the node has written."""
        if link is not self.link:
            return
        for raw in frames:
            frame = _decode(payload_of(raw))
            if frame.id is not None:
                self._event(link, frame)
            elif frame.event == "pusher_internal:subscription_succeeded":
                self._answered(link, frame.channel, msgspec.json.decode(frame.data))  # type: ignore[arg-type]
            elif frame.event == "pusher_internal:position":
                self._told(link, frame.channel, msgspec.json.decode(frame.data)["position"])  # type: ignore[arg-type]
            elif frame.event in ("pusher_internal:member_added", "pusher_internal:member_removed"):
                user = msgspec.json.decode(frame.data)["user_id"]  # type: ignore[arg-type]
                self._model.member(self.name, user, there=frame.event.endswith("added"))
            elif frame.event == "pusher_internal:subscription_count":
                count = msgspec.json.decode(frame.data)["subscription_count"]  # type: ignore[arg-type]
                self._model.counted(self.name, frame.channel, count)
            else:
                self._model.refused(self.name, frame.channel, frame.event, frame.data)

    # ---

    def _arrive(self, node: Node, delay: float) -> None:
        self._connecting = False
        if self.away or self.link is not None:
            return
        if not node.ready or node.paused_until > self._clock.now:
            self._clock.after(self._random.uniform(0.5, 1.5) * RETRY, self.connect)
            return
        self._sockets += 1
        self._socket = f"{self.name}.{self._sockets}"
        session = Session(node.hub, self._app, self._socket, 1_000.0, self._clock.now)
        self.link = Link(self._clock, self, node, delay=delay, rate=self.rate)
        node.open(self.link, session)
        for channel in self.channels:
            self._subscribe(self.link, channel)

    def _subscribe(self, link: Link, channel: str) -> None:
        data: dict[str, Any] = {"channel": channel, "position": self.positions.get(channel, {})}
        if channel.startswith("presence-"):
            data["channel_data"] = f'{{"user_id":"{self.user}"}}'
            data["auth"] = channel_auth(self._app.key, self._app.secret, self._socket, channel, data["channel_data"])
        link.say(_encode({"event": "pusher:subscribe", "data": data}).decode())

    def _answered(self, link: Link, channel: str, data: dict[str, Any]) -> None:
        self.subscribed.add(channel)
        self._model.session_began(self.name, channel)
        if "presence" in data:
            self._model.members(self.name, self.user, data["presence"]["ids"])
        if not data["recovered"]:
            self.positions[channel] = data["position"]
            self._model.began(self.name, channel, data["position"])
        else:
            self._model.recovered(self.name, channel)

    def _told(self, link: Link, channel: str, position: dict[StreamId, int]) -> None:
        for name in [channel] if channel else sorted(self.subscribed):
            self.positions[name] = dict(position)
            self._model.told(self.name, name, position, link)

    def _event(self, link: Link, frame: _Frame) -> None:
        assert frame.id is not None
        stream, _, number = frame.id.rpartition(":")
        channel, seq = frame.channel, int(number)
        self.positions[channel][stream] = seq
        keys = self._keys.setdefault(channel, set())
        repeated = frame.key is not None and frame.key in keys
        if frame.key is not None:
            keys.add(frame.key)
        self._model.received(self.name, channel, int(frame.data), stream, seq, link, repeated=repeated)  # type: ignore[arg-type]

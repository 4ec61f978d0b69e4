"""Sessions without any transport."""

from __future__ import annotations

import json
from typing import Any

from wsmesh.contract import App, ChannelRule
from wsnode.domain.close_codes import Close
from wsnode.domain.directory import Directory
from wsnode.domain.frames import payload_of
from wsnode.domain.history import History
from wsnode.domain.hub import Effects, Hub
from wsnode.domain.messages import Event, Message, Payload
from wsnode.domain.session import Reply, Session
from wsnode.domain.transitions import Transition

APP = App(
    id="shop",
    key="key",
    secret="secret",
    rules=[ChannelRule(pattern="kept-*", cache=True), ChannelRule(pattern="counted-*", subscription_count=True)],
)
SOCKET = "123.456"


STREAM = "n1~a"
"""The stream of the node `n1`."""


class PureHub(Hub):
    """A hub that the test tells how far the streams are, and what time of day it is."""

    def __init__(self, *apps: App, max_seconds: float = 300, max_bytes: int = 1_000_000) -> None:
        self.known = {STREAM: 0}
        self.floors: dict[str, int] = {}
        self.time_of_day = 1_000_000.0
        self.seen: list[Transition] = []
        """What an observer is told, until the test takes it away."""
        super().__init__(
            STREAM,
            Directory(apps or (APP,)),
            History(max_seconds, max_bytes),
            position=lambda: dict(self.known),
            floors=lambda: self.floors,
            time_of_day=lambda: self.time_of_day,
            observe=self.seen.append,
        )

    def deliver(self, stream: str, message: Message, now: float) -> Effects:
        """As the mesh does it: the position comes first."""
        self.known[stream] = message.seq
        return super().deliver(stream, message, now)


def make_hub(*apps: App, **options: Any) -> PureHub:
    """A hub of `n1` that knows these apps, or APP."""
    return PureHub(*apps, **options)


def make_session(hub: Hub, *, app: App = APP, socket_id: str = SOCKET, rate: float = 1000) -> Session:
    """A session that the hub knows."""
    session = Session(hub, app, socket_id, rate, now=0)
    hub.add(session)
    return session


def said(session: Session, event: str, data: object = None, now: float = 0) -> list[Any]:
    """The answers to an event, as JSON; nothing may be closed."""
    reply = session.received(json.dumps({"event": event, "data": data}), now)
    assert reply.close is None
    return answers(reply)


def answers(reply: Reply) -> list[Any]:
    """The messages of a reply, as JSON."""
    return [json.loads(payload_of(frame)) for frame in [*reply.frames, *reply.missed]]


def subscribed(session: Session, *channels: str, now: float = 0) -> None:
    """Subscribe to public channels."""
    for channel in channels:
        assert said(session, "pusher:subscribe", {"channel": channel}, now)[0] == succeeded(channel)


def succeeded(channel: str) -> dict[str, str]:
    """The answer to a subscribe."""
    return {"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": "{}"}


def error(message: str, code: int | None = None) -> dict[str, Any]:
    """A `pusher:error`."""
    return {"event": "pusher:error", "data": {"code": code, "message": message}}


def deliver(
    hub: Hub, payload: Payload, *, seq: int | None = None, stream: str = STREAM, now: float = 0, at: int = 0
) -> Effects:
    """Let the hub take a message, the next one of its stream if `seq` does not say which."""
    return hub.deliver(stream, Message(hub._position().get(stream, 0) + 1 if seq is None else seq, payload, at), now)


def event(*channels: str, data: str = "{}", name: str = "news", **more: Any) -> Event:
    """An event of APP."""
    return Event(app=APP.id, channels=list(channels), name=name, data=data, **more)


def loop_back(hub: Hub, now: float = 0) -> list[Effects]:
    """Publish what the hub announces on its own stream, which brings it back to the hub."""
    waiting, hub.announcements[:] = list(hub.announcements), []
    return [deliver(hub, payload, now=now) for payload in waiting]


def written(effects: Effects) -> list[tuple[Any, set[str]]]:
    """What is to be written: each message as JSON, with the socket ids that get it."""
    return [
        (json.loads(payload_of(frame)), {session.socket_id for session in sessions} - {exclude})
        for frame, sessions, exclude in effects.deliveries
    ]


def closes(effects: Effects) -> list[tuple[str, Close]]:
    """Which sessions are to be closed, by socket id."""
    return sorted((session.socket_id, close) for session, close in effects.closes)

"""Presence over several nodes whose streams and snapshots come late: every client's view, and what all end with."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.wsnode_clients.pure import APP, PureHub
from wsmesh.signature import channel_auth
from wsnode.domain.frames import payload_of
from wsnode.domain.history import History
from wsnode.domain.hub import Effects, Hub
from wsnode.domain.messages import Message, StreamId
from wsnode.domain.session import Session

ROOM = "presence-room"
KEY = (APP.id, ROOM)
NODES = "abc"
USERS = "uvwxy"


class Client:
    """A pusher-js in small: it believes what it is told of members, and that it makes sense."""

    def __init__(self, user: str, answer: dict[str, Any]) -> None:
        self.user = user
        told = json.loads(answer["data"])["presence"]
        assert told["count"] == len(told["ids"])
        self.members = set(told["ids"])
        assert user in self.members

    def hear(self, message: dict[str, Any]) -> None:
        """Take a member event, which must be news."""
        user = json.loads(message["data"])["user_id"]
        assert user != self.user
        if message["event"] == "pusher_internal:member_added":
            assert user not in self.members
            self.members.add(user)
        else:
            assert message["event"] == "pusher_internal:member_removed"
            self.members.remove(user)


class Node:
    """A hub, its clients, its stream, and how far it has the streams of the others."""

    def __init__(self, name: str, run: int) -> None:
        self.name = name
        self.stream: StreamId = f"{name}~{run}"
        self.log: list[Message] = []
        self.have: dict[StreamId, int] = {}
        self.clients: dict[Session, Client] = {}
        self.numbers = 0
        self.hub = Hub(
            self.stream,
            PureHub().directory,
            History(300, 1_000_000),
            position=lambda: {self.stream: len(self.log)},
            floors=dict,
            time_of_day=lambda: 0.0,
        )

    def join(self, user: str) -> None:
        """A client of this user connects and subscribes."""
        self.numbers += 1
        session = Session(self.hub, APP, f"{ord(self.name)}.{self.numbers}", 1000, 0)
        self.hub.add(session)
        data = json.dumps({"user_id": user})
        auth = channel_auth(APP.key, APP.secret, session.socket_id, ROOM, data)
        shown = {"channel": ROOM, "auth": auth, "channel_data": data}
        reply = session.received(json.dumps({"event": "pusher:subscribe", "data": shown}), 0)
        self.clients[session] = Client(user, json.loads(payload_of(reply.frames[0])))
        self.publish()

    def leave(self, session: Session, *, unsubscribe: bool) -> None:
        """A client leaves the channel, or altogether."""
        del self.clients[session]
        if unsubscribe:
            session.received(json.dumps({"event": "pusher:unsubscribe", "data": {"channel": ROOM}}), 0)
        else:
            self.hub.remove(session, 0)
        self.publish()

    def publish(self) -> None:
        """Put on the stream what the hub announces."""
        while self.hub.announcements:
            message = Message(len(self.log) + 1, self.hub.announcements.pop(0))
            self.log.append(message)
            self.do(self.hub.deliver(self.stream, message, 0))

    def do(self, effects: Effects) -> None:
        """Write to the clients."""
        for frame, sessions, _ in effects.deliveries:
            for session in sessions:
                self.clients[session].hear(json.loads(payload_of(frame)))

    def greet(self, other: Node) -> None:
        """Take the other's snapshot of this moment."""
        self.have.setdefault(other.stream, 0)
        self.do(self.hub.replace_node(other.name, other.stream, len(other.log), other.hub.snapshot(), 0))

    def pull(self, other: Node, number: int) -> None:
        """Take some more of the other's stream."""
        have = self.have.get(other.stream, 0)
        for message in other.log[have : have + number]:
            self.have[other.stream] = message.seq
            self.do(self.hub.deliver(other.stream, message, 0))

    def forget(self, name: str) -> None:
        """Take a node for dead."""
        self.do(self.hub.forget_node(name, 0))

    @property
    def users(self) -> set[str]:
        """Who is connected here."""
        return {client.user for client in self.clients.values()}


STEPS = st.one_of(
    st.tuples(st.just("join"), st.sampled_from(NODES), st.sampled_from(USERS)),
    st.tuples(st.sampled_from(["leave", "unsubscribe"]), st.sampled_from(NODES), st.integers(0, 9)),
    st.tuples(st.sampled_from(["pull"]), st.sampled_from(NODES), st.sampled_from(NODES)),
    st.tuples(st.sampled_from(["greet", "forget"]), st.sampled_from(NODES), st.sampled_from(NODES)),
    st.tuples(st.just("kill"), st.sampled_from(NODES), st.just(0)),
)


@given(st.lists(STEPS, max_size=60))
def test_clients_agree_with_their_node_at_every_moment_and_all_nodes_in_the_end(
    steps: list[tuple[str, str, Any]],
) -> None:
    """Whatever comes late, is forgotten or dies: no client hears of a member twice or of itself, and all end alike.

    At every moment each client's view is its node's. Once every node has the snapshots and streams of all others, every
    node has exactly the users that have a connection anywhere.
    """
    nodes = {name: Node(name, 0) for name in NODES}
    runs = 0
    for what, name, argument in steps:
        node = nodes[name]
        other = nodes.get(str(argument))
        if what == "join":
            node.join(str(argument))
        elif what in ("leave", "unsubscribe") and node.clients:
            session = list(node.clients)[int(argument) % len(node.clients)]
            node.leave(session, unsubscribe=what == "unsubscribe")
        elif what == "kill":
            runs += 1
            nodes[name] = Node(name, runs)
        elif other is not None and other is not node:
            if what == "pull":
                node.pull(other, 2)
            elif what == "greet":
                node.greet(other)
            else:
                node.forget(other.name)
        check(nodes)
    for node in nodes.values():
        for other in nodes.values():
            if node is not other:
                node.greet(other)
                node.pull(other, 1_000)
    check(nodes)
    everybody = set.union(*(node.users for node in nodes.values()))
    for node in nodes.values():
        assert set(node.hub.members(*KEY)) == everybody


def check(nodes: dict[str, Node]) -> None:
    for node in nodes.values():
        there = set(node.hub.members(*KEY))
        assert node.users <= there
        for client in node.clients.values():
            assert client.members == there

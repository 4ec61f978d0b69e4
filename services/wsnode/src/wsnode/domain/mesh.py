"""The mesh of one node: its own log, a cursor for each peer, and what has arrived of the peers' streams.

Without I/O: every method takes what came in and `now` (monotonic seconds) and returns what follows from it. Push
(the fast path) is what stands here; positions are those of Scuttlebutt (van Renesse et al., 2008), on which repair
by pull builds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from msgspec import Raw

from wsnode.domain.effects import (
    Deliver,
    Effect,
    Gap,
    PeerChanged,
    PeerConnections,
    PeerForgotten,
    PeerSnapshot,
    Request,
)
from wsnode.domain.inbox import Inbox
from wsnode.domain.log import StreamLog
from wsnode.domain.messages import Message, Payload, StreamId, node_of
from wsnode.domain.peer import Peer, PeerState
from wsnode.domain.wire import Goodbye, Hello, HelloAnswer, Push, PushAnswer, Snapshot


class UnknownStream(Exception):
    """A push of a stream whose node has not said hello to this run: it must do so first."""


class SameNode(Exception):
    """Another process says that it is this node."""


class Member(NamedTuple):
    """A node that the registry counts as a member."""

    node: str
    address: str


@dataclass(frozen=True, slots=True)
class MeshLimits:
    """Bounds and rhythms; seconds and bytes. What raising and lowering each costs stands with the node's settings."""

    log_seconds: float = 300.0
    log_bytes: int = 67_108_864
    batch_bytes: int = 262_144
    heartbeat: float = 1.0
    down_after: float = 5.0
    in_flight: int = 1


class Mesh:
    """Decides what a node sends to its peers and what it takes from them."""

    def __init__(
        self,
        *,
        node: str,
        stream: StreamId,
        location: str,
        address: str,
        limits: MeshLimits,
        uniform: Callable[[float, float], float],
        snapshot: Callable[[], Snapshot],
    ) -> None:
        self.node = node
        self.stream = stream
        self.log = StreamLog(limits.log_seconds, limits.log_bytes)
        self.peers: dict[str, Peer] = {}
        self.received = 0
        self.duplicates = 0
        self.gaps = 0
        self.registry_reachable = True
        self._location = location
        self._address = address
        self._limits = limits
        self._uniform = uniform
        self._snapshot = snapshot
        self._inboxes: dict[StreamId, Inbox] = {}

    # What this node publishes

    def append(self, payload: Payload, now: float) -> Message:
        """Give a payload the next number of the own stream and put it in the log, from where it goes to every peer."""
        message = Message(self.log.last + 1, payload)
        self.log.append(message, now)
        return message

    def holders(self, seq: int) -> list[str]:
        """The peers that have acknowledged the own message `seq`."""
        return [peer.node for peer in self.peers.values() if peer.stream is not None and peer.cursor >= seq]

    def up(self) -> list[str]:
        """The peers that are up."""
        return [peer.node for peer in self.peers.values() if peer.state == "up"]

    def position(self) -> dict[StreamId, int]:
        """The last number of every stream that has arrived without a break, the own one included."""
        arrived = {stream: inbox.have for stream, inbox in self._inboxes.items()}
        return arrived | {self.stream: self.log.last}

    def settled(self) -> bool:
        """Whether every peer that is up has acknowledged the whole own stream."""
        return all(peer.cursor >= self.log.last for peer in self.peers.values() if peer.state == "up")

    def greeted_all(self) -> bool:
        """Whether every peer has been greeted, or has shown that it does not answer."""
        return all(peer.greeted or peer.tried for peer in self.peers.values())

    # Who the peers are

    def set_members(self, members: Iterable[Member], now: float) -> None:
        """The registry's view. A peer without a lease stays a peer for as long as it answers."""
        present = {member.node: member for member in members if member.node != self.node}
        for member in present.values():
            peer = self.peers.setdefault(member.node, Peer(member.node, member.address, first_seen=now))
            if peer.address != member.address:
                peer.address, peer.retry_at = member.address, now
        for peer in self.peers.values():
            peer.member = peer.node in present

    def tick(self, now: float) -> list[Effect]:
        """Let time pass: notice silent peers, forget those that are gone for good, trim the log."""
        self.log.trim(now)
        effects: list[Effect] = []
        for peer in list(self.peers.values()):
            silence = now - peer.silent_since()
            # A lease that lives says that the peer does, though not to us: it stays suspect and keeps its clients.
            given_up = not peer.member or not self.registry_reachable
            if peer.state != "down" and silence > self._limits.down_after and given_up:
                effects += self._change(peer, "down", f"no answer for {silence:.1f} s")
                effects.append(PeerForgotten(peer.node))
                peer.greeted = False  # when it comes back, a hello brings what its clients amount to
            if not peer.member and (peer.stream is None or silence > self._limits.log_seconds):
                self._drop(peer)
        return effects

    # What to send

    def due(self, now: float) -> list[Request]:
        """The requests to send now; each must end in `answered` or `failed`."""
        return [request for peer in self.peers.values() for request in self._due_to(peer, now)]

    def _due_to(self, peer: Peer, now: float) -> Iterator[Request]:
        if now < peer.retry_at:
            return
        if not peer.greeted:
            if peer.in_flight == 0:
                yield self._send(peer, self._hello(), now)
            return
        while peer.in_flight < self._limits.in_flight and peer.sent < self.log.last:
            entries = self.log.after(peer.sent, self._limits.batch_bytes)
            push = self._push(entries[0].seq - 1, [Raw(entry.raw) for entry in entries])
            peer.sent = entries[-1].seq
            yield self._send(peer, push, now)
            if peer.failures:  # one probe at a time until it answers again
                return
        if peer.in_flight == 0 and now - peer.last_sent >= self._limits.heartbeat:
            yield self._send(peer, self._push(peer.sent, []), now)

    def farewell(self) -> list[Request]:
        """Tell every peer that this run has ended."""
        return [Request(peer.node, peer.address, Goodbye(self.stream)) for peer in self.peers.values() if peer.greeted]

    def _send(self, peer: Peer, body: Hello | Push, now: float) -> Request:
        peer.in_flight += 1
        peer.last_sent = now
        return Request(peer.node, peer.address, body)

    def _hello(self) -> Hello:
        return Hello(
            node=self.node,
            stream=self.stream,
            location=self._location,
            address=self._address,
            last=self.log.last,
            position=self.position(),
            snapshot=self._snapshot(),
        )

    def _push(self, after: int, messages: list[Raw]) -> Push:
        # Only heartbeats carry the counts: they are figures, not messages, and need not be in order with them.
        connections = {} if messages else self._snapshot().connections
        return Push(self.stream, self.log.oldest, after, messages, connections)

    # What came of it

    def answered(self, node: str, answer: HelloAnswer | PushAnswer, now: float) -> list[Effect]:
        """A peer has answered a hello or a push."""
        peer = self.peers.get(node)
        if peer is None:
            return []
        peer.in_flight -= 1
        peer.tried = True
        if isinstance(answer, HelloAnswer):
            if answer.node != node:
                return self._failed(peer, f"{peer.address} says that it is {answer.node}", now)
            effects = self._meet(peer, answer.stream, answer.start, answer.snapshot)
            peer.acknowledged(answer.position.get(self.stream, self.log.last), now)
            return [*effects, *self._change(peer, "up", "it answered")]
        if answer.stream != peer.stream:
            return self._failed(peer, "it has restarted", now, greet=True)
        progress = answer.position.get(self.stream, 0) > peer.cursor
        expected = peer.sent > peer.cursor
        peer.acknowledged(answer.position.get(self.stream, 0), now)
        if expected and not progress and peer.in_flight == 0:
            return self._failed(peer, "it answers, but takes no messages", now)
        return self._change(peer, "up", "it answered")

    def failed(self, node: str, reason: str, now: float, *, greet: bool = False) -> list[Effect]:
        """A request to a peer has failed; `greet`: it asks for a hello first."""
        peer = self.peers.get(node)
        if peer is None:
            return []
        peer.in_flight -= 1
        return self._failed(peer, reason, now, greet=greet)

    def _failed(self, peer: Peer, reason: str, now: float, *, greet: bool = False) -> list[Effect]:
        peer.failed(now, self._uniform)
        if greet:
            peer.greeted, peer.retry_at = False, now
        if peer.state == "up":
            return self._change(peer, "suspect", reason)
        return []

    # What peers say

    def receive_hello(self, hello: Hello, now: float) -> tuple[HelloAnswer, list[Effect]]:
        """A peer announces a run of itself. Raises SameNode."""
        if hello.node == self.node:
            raise SameNode(hello.stream)
        peer = self.peers.setdefault(hello.node, Peer(hello.node, hello.address, first_seen=now))
        peer.address = hello.address
        snapshot = hello.snapshot
        effects = self._meet(peer, hello.stream, hello.last, snapshot)
        peer.acknowledged(hello.position.get(self.stream, self.log.last), now)
        peer.retry_at = now
        effects += self._change(peer, "up", "it said hello")
        return HelloAnswer(self.node, self.stream, peer.cursor, self.position(), self._snapshot()), effects

    def receive_push(self, push: Push, now: float) -> tuple[PushAnswer, list[Effect]]:
        """A peer pushes messages. Raises UnknownStream and Malformed; then nothing has changed."""
        inbox = self._inboxes.get(push.stream)
        if inbox is None:
            raise UnknownStream(push.stream)
        arrived = inbox.receive(push.after, push.oldest, push.messages)
        self.duplicates += arrived.duplicates
        effects: list[Effect] = []
        if arrived.gap is not None:
            first, last = arrived.gap
            self.gaps += last - first + 1
            effects.append(Gap(push.stream, first, last))
        if arrived.messages:
            self.received += len(arrived.messages)
            effects.append(Deliver(push.stream, arrived.messages))
        if push.connections or not push.messages:
            effects.append(PeerConnections(node_of(push.stream), push.connections))
        if (peer := self.peers.get(node_of(push.stream))) is not None and peer.state != "up":
            peer.retry_at = min(peer.retry_at, now)  # it lives: try it at once
        return PushAnswer(self.stream, self.position()), effects

    def receive_goodbye(self, goodbye: Goodbye) -> list[Effect]:
        """A run has ended in order: its node is no peer until it says hello again."""
        peer = self.peers.get(node_of(goodbye.stream))
        if peer is None or peer.stream != goodbye.stream:
            return []
        self._drop(peer)
        return [PeerForgotten(peer.node), PeerChanged(peer.node, "down", "it said goodbye")]

    def _meet(self, peer: Peer, stream: StreamId, start: int, snapshot: Snapshot) -> list[Effect]:
        """Learn which run a peer is in, and from where its stream begins here."""
        effects: list[Effect] = []
        if peer.stream != stream:
            if peer.stream is not None:
                self._inboxes.pop(peer.stream, None)
                effects.append(PeerForgotten(peer.node))
            peer.stream = stream
            peer.cursor = peer.sent = 0
        if stream not in self._inboxes:
            self._inboxes[stream] = Inbox(stream, start)
        peer.greeted = True
        return [*effects, PeerSnapshot(peer.node, snapshot)]

    def _change(self, peer: Peer, state: PeerState, reason: str) -> list[Effect]:
        if peer.state == state:
            return []
        peer.state = state
        return [PeerChanged(peer.node, state, reason)]

    def _drop(self, peer: Peer) -> None:
        del self.peers[peer.node]
        if peer.stream is not None:
            self._inboxes.pop(peer.stream, None)

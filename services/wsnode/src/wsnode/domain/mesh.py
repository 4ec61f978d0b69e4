"""The mesh of one node: its own log, a cursor for each peer, and what has arrived of the other streams.

Without I/O: every method takes what came in and `now` (monotonic seconds) and returns what follows from it. Pushing is
the fast path; what does not come by it is pulled (`streams.py`), by comparing positions as in Scuttlebutt (van Renesse
et al., "Efficient reconciliation and flow control for anti-entropy protocols", 2008).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from msgspec import Raw

from wsnode.domain.effects import Effect, PeerChanged, PeerConnections, PeerForgotten, PeerSnapshot, Request
from wsnode.domain.inbox import Malformed
from wsnode.domain.log import StreamLog, encoded
from wsnode.domain.messages import Message, Payload, StreamId, node_of
from wsnode.domain.peer import Peer, PeerState
from wsnode.domain.streams import Streams
from wsnode.domain.wire import Goodbye, Hello, HelloAnswer, Pull, Pulled, Push, PushAnswer, Snapshot


class UnknownStream(Exception):
    """A push of a stream whose node has not said hello to this run, or a pull of one that nothing is held of."""


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
    """Of all logs together."""
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
        connections: Callable[[], dict[str, int]] | None = None,
    ) -> None:
        self.node = node
        self.stream = stream
        self.log = StreamLog(limits.log_seconds)
        self.streams = Streams(
            stream,
            max_seconds=limits.log_seconds,
            patience=limits.heartbeat,
            hope=limits.down_after,
            uniform=uniform,
        )
        self.peers: dict[str, Peer] = {}
        self.dropped_early = 0
        """Messages that left the logs for want of room, before their age."""
        self.registry_reachable = True
        self._location = location
        self._address = address
        self._limits = limits
        self._uniform = uniform
        self._snapshot = snapshot
        self._connections = connections or (lambda: snapshot().connections)  # a snapshot costs more than heartbeats may
        self._numbers = 0

    # What this node publishes

    def append(self, payload: Payload, now: float, at: int) -> Message:
        """Give a payload the next number of the own stream and put it in the log, from where it goes to every peer.

        `at` is the time of day in milliseconds since the epoch.
        """
        message = Message(self.log.last + 1, payload, at)
        self.log.append(message.seq, encoded(message), now)
        return message

    def holders(self, stream: StreamId, seq: int) -> list[str]:
        """The peers that hold a message: of another node's stream those that are up and have said so."""
        peers: Iterable[Peer] = self.peers.values()
        if stream == self.stream:
            peers = [peer for peer in peers if peer.stream is not None and peer.cursor >= seq]
        else:
            peers = [peer for peer in peers if peer.state == "up" and peer.position.get(stream, 0) >= seq]
        return [peer.node for peer in peers if peer.floors.get(stream, 0) < seq]

    def up(self) -> list[str]:
        """The peers that are up."""
        return [peer.node for peer in self.peers.values() if peer.state == "up"]

    def position(self) -> dict[StreamId, int]:
        """The last number of every stream that has arrived without a break, the own one included."""
        return {stream: inbox.log.last for stream, inbox in self.streams.inboxes.items()} | {self.stream: self.log.last}

    def delivered(self) -> dict[StreamId, int]:
        """The position, and what had arrived of streams that ended a while ago and are not asked for any more."""
        return self.streams.retired() | self.position()

    def floors(self) -> dict[StreamId, int]:
        """For every stream the number up to which messages may never have arrived here."""
        logs = {stream: inbox.log for stream, inbox in self.streams.inboxes.items()} | {self.stream: self.log}
        return {stream: log.missing for stream, log in logs.items()}

    def _holes(self) -> dict[StreamId, int]:
        """The floors that are not 0: a position alone would say that all up to it is here."""
        logs = self.streams.inboxes.items()
        return {stream: missing for stream, inbox in logs if (missing := inbox.log.missing)}

    def log_bytes(self) -> int:
        """Bytes in all logs."""
        return self.log.bytes + sum(inbox.log.bytes for inbox in self.streams.inboxes.values())

    def settled(self) -> bool:
        """Whether every peer that is up has acknowledged the whole own stream."""
        return all(peer.cursor >= self.log.last for peer in self.peers.values() if peer.state == "up")

    def warm(self) -> bool:
        """Whether every peer has been greeted or does not answer, and all that they had then has arrived.

        What a peer had that has ended since, and nobody else, is not waited for.
        """
        if not all(peer.greeted or peer.tried for peer in self.peers.values()):
            return False
        position = self.position()
        aims = [aim for peer in self.peers.values() if peer.state != "down" for aim in peer.aims.items()]
        return all(position.get(stream, seq) >= seq for stream, seq in aims)

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
        """Let time pass: notice silent peers, forget those that are gone for good, keep the logs in their bounds."""
        effects: list[Effect] = []
        for peer in list(self.peers.values()):
            silence = now - peer.silent_since()
            # A lease that lives says that the peer does, though not to us: it stays suspect and keeps its clients.
            given_up = not peer.member or not self.registry_reachable
            if peer.state != "down" and silence > min(self._limits.down_after, self._limits.log_seconds) and given_up:
                effects += self._change(peer, "down", f"no answer for {silence:.1f} s")
                effects.append(PeerForgotten(peer.node))
                peer.greeted = False  # when it comes back, a hello brings what its clients amount to
            if not peer.member and (peer.stream is None or silence > self._limits.log_seconds):
                del self.peers[peer.node]
        self.log.trim(now)
        self.streams.tick(now, {peer.stream for peer in self.peers.values() if peer.stream is not None})
        self._bound_logs()
        return effects

    def _bound_logs(self) -> None:
        excess = self.log_bytes() - self._limits.log_bytes
        logs = [self.log, *(inbox.log for inbox in self.streams.inboxes.values())]
        for log in sorted(logs, key=lambda log: log.bytes, reverse=True):
            if excess <= 0:
                return
            before = log.bytes
            self.dropped_early += log.give_back(excess)
            excess -= before - log.bytes

    # What to send

    def due(self, now: float) -> list[Request]:
        """The requests to send now; each must end in `answered` or `failed`."""
        requests: list[Request] = []
        last, silent = self.log.last, now - self._limits.heartbeat
        for peer in self.peers.values():
            # Asked after whatever happens, and mostly nothing is due: this must be quick however many peers there are.
            if peer.sent < last or not peer.greeted or (peer.last_sent <= silent and not peer.in_flight):
                requests += self._due_to(peer, now)
        if not self.streams.lacking:
            return requests
        up = {peer.node: peer for peer in self.peers.values() if peer.state == "up"}
        living = {peer.stream for peer in up.values() if peer.stream is not None}
        pulls = self.streams.due(up, living, now)
        return [*requests, *(Request(node, up[node].address, pull) for node, pull in pulls)]

    def _due_to(self, peer: Peer, now: float) -> Iterator[Request]:
        if now < peer.retry_at:
            return
        if not peer.greeted:
            if not peer.in_flight:
                yield self._send(peer, self._hello(), now)
            return
        while len(peer.in_flight) < self._limits.in_flight and peer.sent < self.log.last:
            entries = self.log.after(peer.sent, self._limits.batch_bytes)
            push = self._push(peer, entries[0].seq - 1, [Raw(entry.raw) for entry in entries], now)
            peer.sent = entries[-1].seq
            yield self._send(peer, push, now)
            if peer.failures:  # one probe at a time until it answers again
                return
        if not peer.in_flight and peer.last_sent <= now - self._limits.heartbeat:
            yield self._send(peer, self._push(peer, peer.sent, [], now), now)

    def farewell(self) -> list[Request]:
        """Tell every peer that this run has ended."""
        return [Request(peer.node, peer.address, Goodbye(self.stream)) for peer in self.peers.values() if peer.greeted]

    def _send(self, peer: Peer, body: Hello | Push, now: float) -> Request:
        self._numbers += 1
        peer.in_flight.add(self._numbers)
        peer.last_sent = now
        return Request(peer.node, peer.address, body, self._numbers)

    def _hello(self) -> Hello:
        return Hello(
            node=self.node,
            stream=self.stream,
            location=self._location,
            address=self._address,
            last=self.log.last,
            position=self.position(),
            snapshot=self._snapshot(),
            floors=self._holes(),
        )

    def _push(self, peer: Peer, after: int, messages: list[Raw], now: float) -> Push:
        # Counts and position go once a heartbeat: with all messages they would come too often to be worth their bytes.
        if messages and peer.last_beat > now - self._limits.heartbeat:
            return Push(self.stream, self.log.oldest, after, messages, {}, {})
        peer.last_beat = now
        return Push(self.stream, self.log.oldest, after, messages, self._connections(), self.position(), self._holes())

    # What came of it

    def answered(self, request: Request, answer: HelloAnswer | PushAnswer | Pulled, now: float) -> list[Effect]:
        """A peer has answered. An answer that no node of ours gives counts as a failure."""
        peer = self.peers.get(request.node)
        if isinstance(request.body, Pull):
            return self._answered_pull(request, request.body, answer, now)
        if peer is None or request.number not in peer.in_flight:
            return []  # the peer was forgotten and met again meanwhile
        peer.in_flight.remove(request.number)
        peer.tried = True
        if isinstance(answer, HelloAnswer):
            if answer.node != peer.node or node_of(answer.stream) != peer.node:
                return self._failed(peer, f"{peer.address} says that it is {answer.node}, {answer.stream}", now)
            effects = self._meet(peer, answer.stream, answer.last, answer.snapshot, now)
            peer.aims = answer.position
            return [*effects, *self._heard(peer, answer, now)]
        if not isinstance(answer, PushAnswer) or answer.stream != peer.stream:
            return self._failed(peer, "it has restarted", now, greet=True)
        progress = answer.position.get(self.stream, 0) > peer.cursor
        expected = peer.sent > peer.cursor
        effects = self._heard(peer, answer, now)
        if expected and not progress and not peer.in_flight:
            return [*effects, *self._failed(peer, "it answers, but takes no messages", now)]
        return effects

    def _answered_pull(
        self, request: Request, pull: Pull, answer: HelloAnswer | PushAnswer | Pulled, now: float
    ) -> list[Effect]:
        if isinstance(answer, Pulled) and answer.stream == pull.stream:
            try:
                return self._mended(self.streams.pulled(request.node, answer, now), now)
            except Malformed:
                pass
        self.streams.pull_failed(request.node, pull.stream, now)
        return []

    def failed(self, request: Request, reason: str, now: float, *, greet: bool = False) -> list[Effect]:
        """A request has failed; `greet`: the peer asks for a hello first."""
        if isinstance(request.body, Pull):
            self.streams.pull_failed(request.node, request.body.stream, now)
            return []
        peer = self.peers.get(request.node)
        if peer is None or request.number not in peer.in_flight:
            return []
        peer.in_flight.remove(request.number)
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
        """A peer announces a run of itself. Raises SameNode and Malformed; then nothing has changed."""
        if hello.node == self.node:
            raise SameNode(hello.stream)
        if node_of(hello.stream) != hello.node:
            raise Malformed(f"{hello.stream} is no stream of {hello.node}")
        peer = self.peers.setdefault(hello.node, Peer(hello.node, hello.address, first_seen=now))
        peer.address = hello.address
        effects = self._meet(peer, hello.stream, hello.last, hello.snapshot, now)
        effects += self._heard(peer, hello, now)
        peer.retry_at = now
        return HelloAnswer(
            self.node, self.stream, self.log.last, self.position(), self._snapshot(), self._holes()
        ), effects

    def receive_push(self, push: Push, now: float) -> tuple[PushAnswer, list[Effect]]:
        """A peer pushes messages. Raises UnknownStream and Malformed; then nothing has changed."""
        node = node_of(push.stream)
        peer = self.peers.get(node)
        if peer is None or peer.stream != push.stream:
            raise UnknownStream(push.stream)
        effects = self._mended(self.streams.pushed(node, push, now), now)
        if push.position:
            effects.append(PeerConnections(node, push.connections))
            peer.position = push.position
            # An answer that was written after the push may have come before it: a floor once told stays.
            peer.floors |= {stream: max(seq, peer.floors.get(stream, 0)) for stream, seq in push.floors.items()}
            self.streams.hear(node, push.position, now)
        if peer.state != "up":
            peer.retry_at = min(peer.retry_at, now)  # it lives: try it at once
        return PushAnswer(self.stream, self.position(), self._holes()), effects

    def receive_pull(self, pull: Pull) -> Pulled:
        """A peer asks for messages of any stream. Raises UnknownStream and Malformed."""
        if pull.after < 0:
            raise Malformed(f"after is {pull.after}, expected 0 or more")
        if pull.stream == self.stream:
            log = self.log
        elif (inbox := self.streams.inboxes.get(pull.stream)) is not None:
            log = inbox.log
        else:
            raise UnknownStream(pull.stream)
        entries = log.after(pull.after, self._limits.batch_bytes)
        after = entries[0].seq - 1 if entries else max(pull.after, log.last)
        return Pulled(pull.stream, log.oldest, log.last, after, [Raw(entry.raw) for entry in entries])

    def receive_goodbye(self, goodbye: Goodbye) -> list[Effect]:
        """A run has ended in order: its node is no peer until it says hello again."""
        peer = self.peers.get(node_of(goodbye.stream))
        if peer is None or peer.stream != goodbye.stream:
            return []
        del self.peers[peer.node]
        self.streams.lost(peer.node)
        return [PeerForgotten(peer.node), PeerChanged(peer.node, "down", "it said goodbye")]

    def _meet(self, peer: Peer, stream: StreamId, last: int, snapshot: Snapshot, now: float) -> list[Effect]:
        """Learn which run a peer is in. Its former streams stay: their tail may still be wanted, or missing here."""
        effects: list[Effect] = []
        if peer.stream != stream:
            if peer.stream is not None:
                effects.append(PeerForgotten(peer.node))
            peer.stream = stream
            peer.cursor = peer.sent = peer.needed = 0
            peer.position, peer.floors, peer.aims = {}, {}, {}
        self.streams.meet(stream, last, now)
        peer.greeted = last >= peer.needed
        return [*effects, PeerSnapshot(peer.node, stream, last, snapshot)]

    def _mended(self, effects: list[Effect], now: float) -> list[Effect]:
        """Where messages will never come, what their node's clients amount to is asked for anew, with a hello."""
        while self.streams.broken:
            stream, last = self.streams.broken.popitem()
            peer = self.peers.get(node_of(stream))
            if peer is not None and peer.stream == stream:
                peer.greeted, peer.needed, peer.retry_at = False, last, min(now, peer.retry_at)
        return effects

    def _heard(self, peer: Peer, said: Hello | HelloAnswer | PushAnswer, now: float) -> list[Effect]:
        """A peer lives, and says what it has: its cursor follows, and what it has more than we is wanted."""
        peer.acknowledged(said.position.get(self.stream, 0), now)
        peer.position = said.position
        # Answers may overtake each other: a floor once told stays, until the last answer is there.
        peer.floors = peer.floors | said.floors if peer.in_flight else said.floors
        self.streams.hear(peer.node, said.position, now)
        return self._change(peer, "up", "it answers")

    def _change(self, peer: Peer, state: PeerState, reason: str) -> list[Effect]:
        if peer.state == state:
            return []
        if state == "suspect":
            for other in self.peers.values():
                # Whoever has its last messages should hear at once who lacks them.
                other.last_sent = other.last_beat = float("-inf")
        if state == "down":
            self.streams.lost(peer.node)
        peer.state = state
        return [PeerChanged(peer.node, state, reason)]

"""What nodes, publishers and clients may see, from docs/guarantees.md alone: if this is content, the run was right.

Everything that happens is told to it, and it objects at once. It knows no code of the product, only what was said to
whom: which node took which message, what publishers were answered, and what clients were sent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zlib import crc32

from tests.simulation.clock import Clock
from tests.simulation.violation import Violation
from wsnode.domain.acks import Acks
from wsnode.domain.messages import Event, Message, StreamId

if TYPE_CHECKING:
    from tests.simulation.link import Link
    from tests.simulation.node import Node


@dataclass(slots=True)
class _Taken:
    """What a run of a node has of a stream: all from `first` to `last`, but not the `gaps`."""

    first: int
    last: int
    gaps: list[tuple[int, int]] = field(default_factory=list)
    late: int = 0
    """The last one that was there already when the gap around it was given up."""

    def has(self, seq: int) -> bool:
        return self.first <= seq <= self.last and not any(low <= seq <= high for low, high in self.gaps)


@dataclass(slots=True)
class _Chain:
    """A client on a channel, from an answer that was no recovery, through all that recover after it."""

    since: float
    position: dict[StreamId, int]
    received: dict[int, float] = field(default_factory=dict)


class Model:
    """Everything that was said. `log_seconds`: how long logs, and with them idempotency keys, are kept."""

    def __init__(self, clock: Clock, *, log_seconds: float) -> None:
        self.trace: list[str] = []
        self.said = 0
        """A checksum of all that clients were sent."""
        self.delivered_to_clients = 0
        self.recoveries = 0
        self.losses: Counter[tuple[str, str]] = Counter()
        """Resumes by client and channel that were told that something is missing."""
        self.gaps = 0
        self.moves = 0
        """Members that came or left, as clients were told."""
        self.repeats = 0
        """Events that came to a client under two ids."""
        self._clock = clock
        self._log_seconds = log_seconds
        self._taken: dict[Node, dict[StreamId, _Taken]] = {}
        self._keyed: dict[tuple[Node, StreamId, int], float] = {}
        """When a run of a node took an event with a key: only such can have two ids."""
        self._runs: dict[str, list[Node]] = defaultdict(list)
        self._accepted: dict[tuple[str, StreamId], list[tuple[int, int]]] = defaultdict(list)
        self._streams: dict[str, list[StreamId]] = defaultdict(list)
        """Channel -> streams with messages of it."""
        self._ids: dict[int, list[tuple[StreamId, int]]] = defaultdict(list)
        self._wanted: dict[int, Acks | None] = {}
        self._channels: dict[int, list[str]] = {}
        self.begun: dict[int, float] = {}
        self.acknowledged: dict[int, float] = {}
        self._chains: dict[tuple[str, str], _Chain] = {}
        self._ever: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._session: dict[tuple[str, str], dict[int, float]] = {}
        """Events by number that a client got on its connection, and when the node had taken them, if with a key."""
        self._members: dict[str, set[str]] = {}
        self._counts: dict[tuple[str, str], int] = {}

    def say(self, line: str) -> None:
        """Add to the trace."""
        self.trace.append(f"{self._clock.now - 1000:8.3f} {line}")

    # --- nodes

    def starts(self, node: Node) -> None:
        """A run begins."""
        self._taken[node] = {}
        self._runs[node.name].append(node)

    def accepted(self, stream: StreamId, seq: int, event: Event) -> None:
        """A node gave an event its number."""
        number = int(event.data)
        if event.key is None and self._ids[number]:
            raise Violation(f"{number} was accepted twice")
        self._ids[number].append((stream, seq))
        for channel in event.channels:
            taken = self._accepted[channel, stream]
            if taken and taken[-1][0] >= seq:
                raise Violation(f"{stream}:{seq} was given out after {stream}:{taken[-1][0]}")
            if not taken:
                self._streams[channel].append(stream)
            taken.append((seq, number))

    def delivered(self, node: Node, stream: StreamId, message: Message) -> None:
        """A node handed a message to its hub."""
        seq, streams = message.seq, self._taken[node]
        if isinstance(message.payload, Event) and message.payload.key is not None:
            self._keyed[node, stream, seq] = self._clock.now
        taken = streams.get(stream)
        if taken is None:
            streams[stream] = _Taken(seq, seq)
        elif seq == taken.last + 1:
            taken.last = seq
        elif taken.gaps and taken.gaps[-1][0] <= seq <= taken.gaps[-1][1] == taken.last and seq > taken.late:
            taken.late = seq
        elif seq <= taken.last:
            raise Violation(f"{node.stream} took {stream}:{seq} again, after {taken.last}")
        else:
            raise Violation(f"{node.stream} took {stream}:{seq} out of order, after {taken.last}")

    def gap(self, node: Node, stream: StreamId, first: int, last: int) -> None:
        """A node gave messages up."""
        self.gaps += 1
        self.say(f"{node.name} has a gap: {stream}:{first}-{last}")
        taken = self._taken[node].setdefault(stream, _Taken(first, first - 1))
        if first != taken.last + 1:
            raise Violation(f"{node.stream} gave up {stream}:{first}-{last} after {taken.last}")
        taken.gaps.append((first, last))
        taken.last = last

    # --- publishers

    def publishes(self, number: int, channels: list[str], acks: Acks | None) -> None:
        """A publisher begins to publish an event."""
        self._wanted[number] = acks
        self._channels[number] = channels
        self.begun[number] = self._clock.now

    def answered(self, number: int, event_id: str, held_by: list[str]) -> None:
        """A publish was answered: these other nodes hold the event."""
        stream, _, seq = event_id.rpartition(":")
        if (stream, int(seq)) not in self._ids[number]:
            raise Violation(f"{number} was answered as {event_id}, but is {self._ids[number]}")
        wanted = self._wanted[number]
        if isinstance(wanted, int) and len(set(held_by)) < wanted:
            raise Violation(f"{event_id} is acknowledged by {held_by}, {wanted} were asked for")
        for name in held_by:
            if not any(self._has(run, stream, int(seq)) for run in self._runs[name]):
                raise Violation(f"{event_id} is acknowledged by {name}, which never had it")
        if held_by:
            self.acknowledged[number] = self._clock.now

    # --- clients

    def session_began(self, client: str, channel: str) -> None:
        """A subscribe was answered."""
        self._session[client, channel] = {}

    def began(self, client: str, channel: str, position: dict[StreamId, int]) -> None:
        """A client subscribed and did not resume, or was told that something is missing: it starts afresh."""
        if (client, channel) in self._chains:
            self.losses[client, channel] += 1
        self._chains[client, channel] = _Chain(self._clock.now, dict(position))

    def recovered(self, client: str, channel: str) -> None:
        """A client was told that nothing will be missing."""
        self.recoveries += 1

    def told(self, client: str, channel: str, position: dict[StreamId, int], link: Link) -> None:
        """A client was told that it has seen all up to a position."""
        chain = self._chains[client, channel]
        for stream in chain.position.keys() - position.keys():
            del chain.position[stream]  # it ended long ago
        for stream, seq in position.items():
            have = chain.position.get(stream, 0)
            if seq < have:
                raise Violation(f"{client} at {link.node.name} is told to be at {stream}:{seq}, and was at {have}")
            if seq > have:
                self._no_hole(client, channel, chain, stream, have, seq, link)
                chain.position[stream] = seq

    def received(
        self, client: str, channel: str, number: int, stream: StreamId, seq: int, link: Link, *, repeated: bool
    ) -> None:
        """A client got an event; `repeated`: it dropped it, by its key."""
        chain, now = self._chains[client, channel], self._clock.now
        self.delivered_to_clients += 1
        self.repeats += repeated
        what = f"{stream}:{seq} ({number}) on {channel} from {link.node.stream}"
        self.said = crc32(f"{now:.6f} {client} {what}".encode(), self.said)
        session, taken = self._session[client, channel], self._keyed.get((link.node, stream, seq), 0.0)
        if number in session and taken - session[number] <= self._log_seconds:
            raise Violation(f"{client} got {what} twice on one connection")
        session[number] = taken
        if not repeated and number in chain.received:
            raise Violation(f"{client} got {what} twice")
        ever = self._ever[client, channel]
        if repeated and number not in ever:
            raise Violation(f"{client} dropped {what}, which it had not got")
        ever.add(number)
        have = chain.position.get(stream, 0)
        if seq <= have:
            raise Violation(f"{client} got {what}, and was at {have}")
        if channel not in self._channels[number]:
            raise Violation(f"{client} got {what}, which was published on {self._channels[number]}")
        self._no_hole(client, channel, chain, stream, have, seq - 1, link)
        chain.position[stream] = seq
        chain.received[number] = now

    def counted(self, client: str, channel: str, count: int) -> None:
        """A client was told how many subscribers a channel has."""
        self._counts[client, channel] = count

    def members(self, client: str, user: str, users: list[str]) -> None:
        """A client that is this user was told who is present in the room."""
        if user not in users or len(set(users)) < len(users):
            raise Violation(f"{client} is {user}, and was told that {users} are present")
        self._members[client] = set(users)

    def member(self, client: str, user: str, *, there: bool) -> None:
        """A client was told that a user came to the room, or left it: by turns."""
        members = self._members[client]
        self.moves += 1
        if (user in members) is there:
            raise Violation(f"{client} was told that {user} {'came' if there else 'left'}, and knew {sorted(members)}")
        members ^= {user}

    def refused(self, client: str, channel: str, event: str, data: object) -> None:
        """A client was told that something is wrong."""
        raise Violation(f"{client} got {event} on {channel or 'its connection'}: {data}")

    # --- in the end

    def check_delivered(self, nodes: Iterable[Node], clients: Iterable[tuple[str, str]]) -> None:
        """After all has healed: what was acknowledged, and a living node has, has come to all `(client, channel)`."""
        living = list(nodes)
        since = self._clock.now - self._log_seconds
        for number in self.acknowledged:
            if self.begun[number] < since:
                continue
            ids = self._ids[number]
            holders = [run.name for run in living if any(self._has(run, *one) for one in ids)]
            if not holders:
                continue
            for run in living:
                if run.started <= self.begun[number] and run.name not in holders:
                    raise Violation(f"{run.stream} never took {ids} ({number}), which {holders} have")
            for client, channel in clients:
                chain = self._chains[client, channel]
                if channel not in self._channels[number] or chain.since > self.begun[number]:
                    continue
                if number not in chain.received and not self._covered(chain, number):
                    raise Violation(f"{client} never got {ids} ({number}) on {channel}, which {holders} have")

    def check_count(self, client: str, channel: str, real: int) -> None:
        """After all is quiet: a client knows how many subscribers there are."""
        if self._counts.get((client, channel)) != real:
            told = self._counts.get((client, channel))
            raise Violation(f"{client} believes that {channel} has {told} subscribers, it has {real}")

    def check_members(self, client: str, real: set[str]) -> None:
        """After all is quiet: a client knows who is present."""
        if self._members[client] != real:
            raise Violation(f"{client} believes that {sorted(self._members[client])} are present, {sorted(real)} are")

    # ---

    def _has(self, run: Node, stream: StreamId, seq: int) -> bool:
        taken = self._taken[run].get(stream)
        return taken is not None and taken.has(seq)

    def _covered(self, chain: _Chain, number: int) -> bool:
        """Whether the event came before the client began, under one of its ids."""
        return any(chain.position.get(stream, 0) >= seq for stream, seq in self._ids[number])

    def _no_hole(
        self, client: str, channel: str, chain: _Chain, stream: StreamId, have: int, upto: int, link: Link
    ) -> None:
        accepted = self._accepted.get((channel, stream))
        if not accepted or upto <= have:
            return
        for place in range(bisect_left(accepted, (have + 1, 0)), len(accepted)):
            seq, number = accepted[place]
            if seq > upto:
                return
            if number in chain.received or self._covered(chain, number) or _given_up(link, channel, stream, seq):
                continue
            raise Violation(f"{client} at {link.node.stream} missed {stream}:{seq} ({number}) on {channel}")


def _given_up(link: Link, channel: str, stream: StreamId, seq: int) -> bool:
    """Whether the client's node gave a message up while the client was connected: that is not told to it."""
    before = link.floors.get(channel, {})
    return before.get(stream, 0) < seq <= link.node.mesh.floors().get(stream, 0)

"""The streams of all other nodes: what has arrived of them, who has more, and how it is fetched (repair by pull).

A message that does not come by push is pulled from whoever has it, of any stream: this covers a dead origin, a
partition between two nodes that a third can see, a lost batch and a new node's warm-up, with one mechanism.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from wsnode.domain.effects import Deliver, Effect, Gap
from wsnode.domain.inbox import Inbox
from wsnode.domain.messages import Message, StreamId
from wsnode.domain.wire import Pull, Pulled, Push

RETRY = 0.25
"""Seconds before a pull that failed is tried again, perhaps at another node."""
RETIRED = 10
"""So many times the age of a log a stream that has ended is remembered, lest it is fetched anew."""


class Streams:
    """Inboxes by stream. Times in seconds: `max_seconds` is the age of the logs, `patience` how long a living origin
    may take to push, and `hope` how long what is missing is waited for, from nodes that have it and do not answer.
    """

    def __init__(
        self,
        own: StreamId,
        *,
        max_seconds: float,
        patience: float,
        hope: float,
        uniform: Callable[[float, float], float],
    ) -> None:
        self.received = 0
        self.gaps = 0
        self.pulls = 0
        self.inboxes: dict[StreamId, Inbox] = {}
        self.broken: dict[StreamId, int] = {}
        """Streams that what their nodes' snapshots said cannot be followed on any more, and up to where messages lack;
        whoever asks for new snapshots takes them away."""
        self._own = own
        self._max_seconds = max_seconds
        self._patience = patience
        self._hope = hope
        self._uniform = uniform
        self.lacking: set[StreamId] = set()
        """Streams of which somebody may have more than is here."""
        self._retired: dict[StreamId, tuple[int, float]] = {}
        """What had arrived of a stream when it was retired, and when that was."""

    @property
    def duplicates(self) -> int:
        """Messages that arrived again and were dropped."""
        return sum(inbox.duplicates for inbox in self.inboxes.values())

    def retired(self) -> dict[StreamId, int]:
        """What had arrived of the streams that were retired."""
        return {stream: have for stream, (have, _) in self._retired.items()}

    def meet(self, stream: StreamId, last: int, now: float) -> None:
        """A node said that this is its present stream, and its newest number."""
        inbox = self._open(stream, now)
        inbox.met = last
        if last == 0:
            inbox.fresh = False  # known from its very start

    def hear(self, node: str, position: Mapping[StreamId, int], now: float) -> None:
        """A peer said what it has."""
        inboxes = self.inboxes
        for stream, seq in position.items():
            inbox = inboxes.get(stream)
            if inbox is not None:
                if seq <= inbox.log.last and not inbox.claims:
                    continue
            else:
                # One without messages counts too: clients' positions name it, and expect every node to know it.
                if stream == self._own or seq <= self._retired.get(stream, (-1, 0))[0]:
                    continue
                inbox = self._open(stream, now)
            if seq > inbox.log.last or node in inbox.claims:
                inbox.claim(node, seq, now)
                if inbox.claims:
                    self.lacking.add(stream)

    def lost(self, node: str) -> None:
        """A peer is gone: it will be of no help."""
        for inbox in self.inboxes.values():
            inbox.withdraw(node)

    def pushed(self, node: str, push: Push, now: float) -> list[Effect]:
        """The origin pushes. Raises Malformed, and then nothing has changed."""
        inbox = self.inboxes[push.stream]
        delivered = inbox.receive(push.after, push.messages, now)
        effects = self._delivered(inbox, delivered)
        if push.oldest > inbox.have + 1:
            inbox.claim(node, push.after + len(push.messages), now)
            inbox.unable[node] = push.oldest
            self.lacking.add(push.stream)
            effects += self._give_up(inbox, now)
        return effects

    def pulled(self, node: str, answer: Pulled, now: float) -> list[Effect]:
        """A peer answered a pull. Raises Malformed."""
        inbox = self.inboxes.get(answer.stream)
        if inbox is None:
            return []
        inbox.pulling = False
        inbox.retry_at = now
        effects: list[Effect] = []
        if answer.oldest > inbox.have + 1:
            inbox.unable[node] = answer.oldest
            effects += self._give_up(inbox, now)
        before, since = inbox.have, inbox.lacking_since
        effects += self._delivered(inbox, inbox.receive(answer.after, answer.messages, now))
        if inbox.claims and since is not None:
            inbox.lacking_since = since  # a pull that helped is followed by the next, without patience for the origin
        inbox.claim(node, answer.last, now)
        if inbox.have == before and node not in inbox.unable:
            inbox.retry_at = now + RETRY
        return effects

    def pull_failed(self, node: str, stream: StreamId, now: float) -> None:
        """A pull came to nothing."""
        if (inbox := self.inboxes.get(stream)) is not None:
            inbox.pulling = False
            inbox.silent.add(node)
            inbox.retry_at = now + RETRY * self._uniform(0.5, 1.5)

    def due(self, up: Iterable[str], living: set[StreamId], now: float) -> list[tuple[str, Pull]]:
        """The pulls to send now, `(node, pull)`; `living` are the streams whose origin is up, and pushes itself."""
        requests = []
        reachable = set(up)
        for stream in sorted(self.lacking):  # sorted: a seed must replay a simulation whatever the hash of strings
            inbox = self.inboxes.get(stream)
            if inbox is None or inbox.lacking_since is None:
                self.lacking.discard(stream)
                continue
            patience = self._patience if stream in living else 0.0
            if inbox.pulling or now < inbox.retry_at or now - inbox.lacking_since < patience:
                continue
            answering = sorted(node for node in inbox.claims if node in reachable and node not in inbox.silent)
            able = [node for node in answering if node not in inbox.unable]
            if not able and now - inbox.lacking_since >= self._hope:
                for node in inbox.claims.keys() - answering:
                    inbox.withdraw(node)
                inbox.unable.clear()  # asked once more, what they hold is all there is
                able = answering
            if able:
                node = able[int(self._uniform(0, len(able) - 1e-9))]
                inbox.pulling = True
                self.pulls += 1
                requests.append((node, Pull(stream, inbox.have)))
        return requests

    def tick(self, now: float, present: set[StreamId]) -> None:
        """Trim the logs, and retire streams that have ended and said nothing for the age of a log."""
        for stream, inbox in list(self.inboxes.items()):
            inbox.log.trim(now)
            if stream not in present and now - inbox.active_at > self._max_seconds:
                del self.inboxes[stream]
                self.lacking.discard(stream)
                self._retired[stream] = (inbox.have, now)
        for stream, (_, since) in list(self._retired.items()):
            if now - since > RETIRED * self._max_seconds:
                del self._retired[stream]

    def _open(self, stream: StreamId, now: float) -> Inbox:
        """The inbox of a stream; one that was retired goes on where it was."""
        if (inbox := self.inboxes.get(stream)) is None:
            inbox = self.inboxes[stream] = Inbox(stream, self._max_seconds, now)
            if (retired := self._retired.pop(stream, None)) is not None:
                inbox.skip_to(retired[0], now)
        return inbox

    def _give_up(self, inbox: Inbox, now: float) -> list[Effect]:
        """When nobody who has more still holds what is missing, it will never come."""
        if not inbox.unable or (not inbox.fresh and any(node not in inbox.unable for node in inbox.claims)):
            return []
        first, last = inbox.have + 1, min(inbox.unable.values()) - 1
        if last > inbox.met:
            self.broken[inbox.stream] = last
        if inbox.fresh:
            first = inbox.first_held(last)  # what came before the first message that arrived is no gap
        gap: list[Effect] = []
        if first <= last:
            self.gaps += last - first + 1
            gap.append(Gap(inbox.stream, first, last))
        return [*gap, *self._delivered(inbox, inbox.skip_to(last, now))]

    def _delivered(self, inbox: Inbox, messages: list[Message]) -> list[Effect]:
        if not messages:
            return []
        self.received += len(messages)
        return [Deliver(inbox.stream, messages)]

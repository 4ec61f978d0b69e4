"""What has arrived of another node's stream: in order, each message once, and kept in a log."""

from __future__ import annotations

import msgspec

from wsmesh.decoding import UNREADABLE
from wsnode.domain.log import StreamLog
from wsnode.domain.messages import Message, StreamId, message_of

HOLD_BACK = 10_000
"""Messages of one stream that may wait for an earlier one; the sender repeats what is not kept."""


class Malformed(Exception):
    """A push or an answer that no node of ours sends. The text says what is wrong with it."""


class Inbox:
    """The arrived part of one stream, and what is known of who has more of it."""

    def __init__(self, stream: StreamId, max_seconds: float, now: float) -> None:
        self.stream = stream
        self.log = StreamLog(max_seconds)
        self.fresh = True
        """Whether it is not known where the stream begins here: what came before the first message is no gap."""
        self.met = 0
        """The newest number of the stream when its node last sent a snapshot."""
        self.duplicates = 0
        self.active_at = now
        """When something of the stream was last heard."""
        self.claims: dict[str, int] = {}
        """Node -> the number up to which it says it has the stream, as far as that is more than is here."""
        self.silent: set[str] = set()
        """Nodes whose last pull came to nothing: they are asked again once they have said something."""
        self.unable: dict[str, int] = {}
        """Node -> the oldest message it still holds, where that is later than what is missing here."""
        self.lacking_since: float | None = None
        self.pulling = False
        self.retry_at = now
        self._held: dict[int, tuple[Message, bytes]] = {}

    @property
    def have(self) -> int:
        """The last number of the unbroken run."""
        return self.log.last

    def receive(self, after: int, raws: list[msgspec.Raw], now: float) -> list[Message]:
        """Take messages `after + 1`, `after + 2`, …; returns those that are in order now. Raises Malformed."""
        delivered: list[Message] = []
        for message, raw in self._checked(after, raws):
            if message.seq <= self.have or message.seq in self._held:
                self.duplicates += 1
            elif message.seq == self.have + 1:
                self._take(message, raw, now, delivered)
            elif len(self._held) < HOLD_BACK:
                self._held[message.seq] = (message, raw)
        self._advanced(delivered, now)
        return delivered

    def skip_to(self, seq: int, now: float) -> list[Message]:
        """What is missing up to `seq` will never come; returns what was held back for it, in order."""
        delivered: list[Message] = []
        for number in sorted(number for number in self._held if number <= seq):
            delivered.append(self._held.pop(number)[0])
        self.log.skip_to(seq)
        if (following := self._held.pop(seq + 1, None)) is not None:
            self._take(*following, now, delivered)
        self._advanced(delivered, now, skipped=True)
        return delivered

    def first_held(self, last: int) -> int:
        """The first number that is held back, if that is not after `last`; else the one after `last`."""
        return min((number for number in self._held if number <= last), default=last + 1)

    def claim(self, node: str, seq: int, now: float) -> None:
        """A node says that it has the stream up to `seq`."""
        self.silent.discard(node)
        if seq > self.have:
            self.claims[node] = seq
            if self.lacking_since is None:
                self.lacking_since = now
        else:
            self.withdraw(node)

    def withdraw(self, node: str) -> None:
        """A node has nothing that is missing here, or is gone."""
        self.claims.pop(node, None)
        self.unable.pop(node, None)
        self.silent.discard(node)
        if not self.claims:
            self.lacking_since = None

    def _checked(self, after: int, raws: list[msgspec.Raw]) -> list[tuple[Message, bytes]]:
        if after < 0:
            raise Malformed(f"after is {after}, expected 0 or more")
        messages = []
        for seq, raw in enumerate(raws, after + 1):
            try:
                message = message_of(raw)
            except UNREADABLE as problem:
                raise Malformed(f"message {seq}: {problem}") from None
            if message.seq != seq:
                raise Malformed(f"message {message.seq} stands where {seq} was expected")
            messages.append((message, bytes(raw)))
        return messages

    def _take(self, message: Message, raw: bytes, now: float, delivered: list[Message]) -> None:
        self.log.append(message.seq, raw, now)
        delivered.append(message)
        while self._held and (following := self._held.pop(self.have + 1, None)) is not None:
            self.log.append(following[0].seq, following[1], now)
            delivered.append(following[0])

    def _advanced(self, delivered: list[Message], now: float, *, skipped: bool = False) -> None:
        self.active_at = now
        if not delivered and not skipped:
            return
        self.fresh = False
        self.unable.clear()
        self.claims = {node: seq for node, seq in self.claims.items() if seq > self.have}
        self.lacking_since = now if self.claims else None

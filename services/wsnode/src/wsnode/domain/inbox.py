"""What has arrived of other nodes' streams: in order, each message once."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from wsnode.domain.messages import Message, StreamId

HOLD_BACK = 10_000
"""Messages of one stream that may wait for an earlier one; the sender repeats what is not kept."""


class Malformed(Exception):
    """A push that no node of ours sends. The text says what is wrong with it."""


@dataclass(slots=True)
class Arrived:
    """What one push brought: the messages to deliver now, and the numbers that will never come."""

    messages: list[Message] = field(default_factory=list)
    gap: tuple[int, int] | None = None
    duplicates: int = 0


class Inbox:
    """The arrived part of one stream; `have` is the last number of the unbroken run from its start."""

    def __init__(self, stream: StreamId, have: int) -> None:
        self.stream = stream
        self.have = have
        self._held: dict[int, Message] = {}
        self._decode = msgspec.msgpack.Decoder(Message).decode

    def receive(self, after: int, oldest: int, raws: list[msgspec.Raw]) -> Arrived:
        """Take messages `after + 1`, `after + 2`, …; the sender holds none before `oldest`. Raises Malformed."""
        messages = self._checked(after, raws)
        arrived = Arrived()
        if oldest > self.have + 1:
            self._skip_to(oldest - 1, arrived)
        for message in messages:
            if message.seq <= self.have or message.seq in self._held:
                arrived.duplicates += 1
            elif message.seq == self.have + 1:
                self._take(message, arrived)
            elif len(self._held) < HOLD_BACK:
                self._held[message.seq] = message
        return arrived

    def _checked(self, after: int, raws: list[msgspec.Raw]) -> list[Message]:
        if after < 0:
            raise Malformed(f"after is {after}, expected 0 or more")
        messages = []
        for seq, raw in enumerate(raws, after + 1):
            try:
                message = self._decode(raw)
            except msgspec.ValidationError as problem:
                raise Malformed(f"message {seq}: {problem}") from None
            if message.seq != seq:
                raise Malformed(f"message {message.seq} stands where {seq} was expected")
            messages.append(message)
        return messages

    def _take(self, message: Message, arrived: Arrived) -> None:
        arrived.messages.append(message)
        self.have = message.seq
        while self._held and (following := self._held.pop(self.have + 1, None)) is not None:
            arrived.messages.append(following)
            self.have = following.seq

    def _skip_to(self, seq: int, arrived: Arrived) -> None:
        """Up to `seq` nothing more will come: deliver what was held back, and count the rest as a gap."""
        first = self.have + 1
        for held in sorted(number for number in self._held if number <= seq):
            arrived.messages.append(self._held.pop(held))
        arrived.gap = (first, seq)
        self.have = seq
        if (following := self._held.pop(seq + 1, None)) is not None:
            self._take(following, arrived)

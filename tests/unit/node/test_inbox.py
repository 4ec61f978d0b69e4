"""What arrives of a stream is delivered in order, each message once."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from wsnode.domain.inbox import HOLD_BACK, Inbox, Malformed
from wsnode.domain.messages import Event, Message


def raws(*seqs: int) -> list[Raw]:
    event = Event(app="a", channels=["c"], name="n", data="")
    return [Raw(msgspec.msgpack.encode(Message(seq, event))) for seq in seqs]


def test_a_hole_is_held_back_until_it_is_filled() -> None:
    """Messages after a hole wait, and follow as soon as the missing one comes."""
    inbox = Inbox("a~1", 0)
    assert inbox.receive(1, 1, raws(2, 3)).messages == []
    assert [message.seq for message in inbox.receive(0, 1, raws(1)).messages] == [1, 2, 3]


def test_repeated_messages_are_dropped_and_counted() -> None:
    """What has arrived before, or is held back, is not taken again."""
    inbox = Inbox("a~1", 0)
    inbox.receive(0, 1, raws(1, 2))
    inbox.receive(4, 1, raws(5))
    again = inbox.receive(0, 1, raws(1, 2, 3))
    assert ([message.seq for message in again.messages], again.duplicates) == ([3], 2)
    assert inbox.receive(4, 1, raws(5)).duplicates == 1


def test_what_will_never_come_is_a_gap() -> None:
    """When the sender holds nothing before a number, the missing ones are named and the held ones delivered."""
    inbox = Inbox("a~1", 3)
    inbox.receive(5, 1, raws(6))
    arrived = inbox.receive(8, 9, raws(9))
    assert arrived.gap == (4, 8)
    assert [message.seq for message in arrived.messages] == [6, 9]
    assert inbox.have == 9


@pytest.mark.parametrize(
    ("after", "batch", "text"),
    [
        (-1, raws(1), "after is -1, expected 0 or more"),
        (0, raws(1, 3), "message 3 stands where 2 was expected"),
        (0, [Raw(b"\x01")], "message 1: Expected `array`, got `int`"),
    ],
)
def test_a_malformed_push_changes_nothing(after: int, batch: list[Raw], text: str) -> None:
    """A push that no node sends is refused whole, with what is wrong about it."""
    inbox = Inbox("a~1", 0)
    with pytest.raises(Malformed, match=text):
        inbox.receive(after, 1, batch)
    assert inbox.have == 0


def test_the_hold_back_is_bounded() -> None:
    """No more than the bound is held back; the sender sends the rest again."""
    inbox = Inbox("a~1", 0)
    inbox.receive(1, 1, raws(*range(2, HOLD_BACK + 100)))
    arrived = inbox.receive(0, 1, raws(1))
    assert len(arrived.messages) == HOLD_BACK + 1

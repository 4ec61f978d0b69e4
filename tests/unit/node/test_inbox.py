"""What arrives of a stream is delivered in order, each message once."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from wsnode.domain.inbox import HOLD_BACK, Inbox, Malformed
from wsnode.domain.messages import Event, Message, Unknown


def raws(*seqs: int) -> list[Raw]:
    event = Event(app="a", channels=["c"], name="n", data="")
    return [Raw(msgspec.msgpack.encode(Message(seq, event))) for seq in seqs]


def inbox(have: int = 0) -> Inbox:
    """An inbox of a~1 in which the messages up to `have` have arrived."""
    made = Inbox("a~1", 60, now=0)
    made.receive(0, raws(*range(1, have + 1)), now=0)
    return made


def seqs(messages: list[Message]) -> list[int]:
    return [message.seq for message in messages]


def test_a_hole_is_held_back_until_it_is_filled() -> None:
    """Messages after a hole wait, and follow as soon as the missing one comes."""
    box = inbox()
    assert box.receive(1, raws(2, 3), now=0) == []
    assert seqs(box.receive(0, raws(1), now=0)) == [1, 2, 3]
    assert [entry.seq for entry in box.log.after(0, 1000)] == [1, 2, 3]


def test_repeated_messages_are_dropped_and_counted() -> None:
    """What has arrived before, or is held back, is not taken again."""
    box = inbox(2)
    box.receive(4, raws(5), now=0)
    assert seqs(box.receive(0, raws(1, 2, 3), now=0)) == [3]
    assert box.duplicates == 2
    box.receive(4, raws(5), now=0)
    assert box.duplicates == 3


def test_after_a_skip_what_was_held_back_follows() -> None:
    """When the missing ones will never come, the held ones are delivered in order."""
    box = inbox(3)
    box.receive(5, raws(6), now=0)
    box.receive(8, raws(9), now=0)
    assert seqs(box.skip_to(8, now=0)) == [6, 9]
    assert box.have == 9


def test_claims_are_those_that_have_more() -> None:
    """A claim lasts as long as its node has more than is here, and progress starts the waiting anew."""
    box = inbox(3)
    box.claim("b", 3, now=1)
    assert not box.claims
    box.claim("b", 5, now=1)
    box.claim("c", 4, now=2)
    assert box.lacking_since == 1
    box.receive(3, raws(4), now=3)
    assert box.claims == {"b": 5}
    assert box.lacking_since == 3
    box.receive(4, raws(5), now=4)
    assert box.lacking_since is None


@pytest.mark.parametrize(
    ("after", "batch", "text"),
    [
        (-1, raws(1), "after is -1, expected 0 or more"),
        (0, raws(1, 3), "message 3 stands where 2 was expected"),
        (0, [Raw(b"\x01")], "message 1: Expected `array`, got `int`"),
        (0, [Raw(b"\xc1")], "message 1: MessagePack data is malformed"),
    ],
)
def test_a_malformed_push_changes_nothing(after: int, batch: list[Raw], text: str) -> None:
    """A push that no node sends is refused whole, with what is wrong about it."""
    box = inbox()
    with pytest.raises(Malformed, match=text):
        box.receive(after, batch, now=0)
    assert box.have == 0


def test_the_hold_back_is_bounded() -> None:
    """No more than the bound is held back; the sender sends the rest again."""
    box = inbox()
    box.receive(1, raws(*range(2, HOLD_BACK + 100)), now=0)
    assert len(box.receive(0, raws(1), now=0)) == HOLD_BACK + 1


def test_a_payload_that_only_a_newer_version_knows_is_kept() -> None:
    """It keeps its number and goes on to others as it came; a known one of another form is refused."""
    box = inbox(1)
    news = Raw(msgspec.msgpack.encode([2, {"type": "novelty", "text": "?"}, 7, "more"]))
    assert box.receive(1, [news], now=0) == [Message(2, Unknown("novelty"), 7)]
    assert box.log.after(1, 1000)[0].raw == bytes(news)
    wrong: tuple[object, ...] = ({"type": "event", "app": 7}, {"type": 3}, {}, [])
    for payload in wrong:
        with pytest.raises(Malformed):
            box.receive(2, [Raw(msgspec.msgpack.encode([3, payload, 0]))], now=0)
    assert box.have == 2

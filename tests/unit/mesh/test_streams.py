"""What is fetched of other nodes' streams, from whom, and when it is given up."""

from __future__ import annotations

import pytest
from msgspec import Raw

from tests.support.mesh_network import event
from wsnode.domain.effects import Deliver, Effect, Gap
from wsnode.domain.log import encoded
from wsnode.domain.messages import Message
from wsnode.domain.streams import Streams
from wsnode.domain.wire import Pull, Pulled, Push


def test_pulls_follow_each_other_while_there_is_more() -> None:
    """Once a pull has helped, the rest is fetched at once, though the origin lives and might push it."""
    streams = Streams("own~1", max_seconds=60, patience=1, hope=5, uniform=lambda low, _: low)
    streams.meet("a~1", 0, now=0)
    streams.hear("c", {"a~1": 9}, now=0)
    assert streams.due({"c"}, {"a~1"}, now=0.5) == []
    assert streams.due({"c"}, {"a~1"}, now=1.0) == [("c", Pull("a~1", 0))]
    some = [Raw(encoded(Message(seq, event("x")))) for seq in (1, 2, 3)]
    streams.pulled("c", Pulled("a~1", 1, 9, 0, some), now=1.1)
    assert streams.due({"c"}, {"a~1"}, now=1.1) == [("c", Pull("a~1", 3))]


def test_a_hole_behind_the_first_message_that_came_is_a_gap() -> None:
    """Of a stream that was not followed from its start, what is missing among the messages that arrived is counted."""
    streams = Streams("own~1", max_seconds=60, patience=1, hope=5, uniform=lambda low, _: low)
    streams.meet("a~1", 9, now=0)

    def push(oldest: int, *seqs: int) -> list[Effect]:
        raws = [Raw(encoded(Message(seq, event("x")))) for seq in seqs]
        return streams.pushed("a", Push("a~1", oldest, seqs[0] - 1, raws, {}, {}), now=0)

    assert push(1, 5, 6) == []
    gap, *delivered = push(8, 8)
    assert gap == Gap("a~1", 5, 7)
    assert [message.seq for each in delivered if isinstance(each, Deliver) for message in each.messages] == [5, 6, 8]
    assert streams.gaps == 3


def lacking() -> tuple[Streams, list[Effect]]:
    """Of a dead node's stream b says that it has 1 to 20; c has given 11 to 20, and does not hold what came before."""
    streams = Streams("own~1", max_seconds=60, patience=1, hope=5, uniform=lambda low, _: low)
    streams.meet("a~1", 0, now=0)
    for node in "bc":
        streams.hear(node, {"a~1": 20}, now=0)
    late = [Raw(encoded(Message(seq, event("x")))) for seq in range(11, 21)]
    assert streams.due({"c"}, set(), now=0) == [("c", Pull("a~1", 0))]
    return streams, streams.pulled("c", Pulled("a~1", 11, 20, 10, late), now=0)


@pytest.mark.parametrize("how", ["it is gone", "it does not answer", "it does not answer pulls"])
def test_what_a_silent_node_has_is_waited_for_and_then_given_up(how: str) -> None:
    """While a peer that has more may come back nothing is given up; then what others hold is delivered after all."""
    streams, effects = lacking()
    assert effects == []
    up = {"b", "c"} if how == "it does not answer pulls" else {"c"}
    if how == "it is gone":
        streams.lost("b")
    elif how == "it does not answer pulls":
        assert streams.due(up, set(), now=1) == [("b", Pull("a~1", 0))]
        streams.pull_failed("b", "a~1", now=1)
    assert streams.due(up, set(), now=4.9) == []
    assert streams.due(up, set(), now=5) == [("c", Pull("a~1", 0))]
    gap, delivered = streams.pulled("c", Pulled("a~1", 11, 20, 10, []), now=5)
    assert gap == Gap("a~1", 1, 10)
    assert isinstance(delivered, Deliver)
    assert [message.seq for message in delivered.messages] == list(range(11, 21))
    assert streams.due(up, set(), now=6) == []


def test_a_node_that_comes_back_gives_what_only_it_has() -> None:
    """A pull that came to nothing is repeated once the peer has said something, and there is no gap."""
    streams, _ = lacking()
    assert streams.due({"b", "c"}, set(), now=1) == [("b", Pull("a~1", 0))]
    streams.pull_failed("b", "a~1", now=1)
    streams.hear("b", {"a~1": 20}, now=2)
    assert streams.due({"b", "c"}, set(), now=2) == [("b", Pull("a~1", 0))]
    early = [Raw(encoded(Message(seq, event("x")))) for seq in range(1, 11)]
    (delivered,) = streams.pulled("b", Pulled("a~1", 1, 20, 0, early), now=2)
    assert isinstance(delivered, Deliver)
    assert [message.seq for message in delivered.messages] == list(range(1, 21))
    assert streams.gaps == 0

"""The log of a stream keeps its newest messages, within its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsnode.domain.log import StreamLog
from wsnode.domain.messages import Event, Message


def message(seq: int, size: int = 10) -> Message:
    return Message(seq, Event(app="a", channels=["c"], name="n", data="x" * size))


def test_messages_after_a_number_come_in_order() -> None:
    """All that follows a sequence number is found, oldest first."""
    log = StreamLog(60, 10_000)
    for seq in range(1, 6):
        log.append(message(seq), now=0)
    assert [entry.seq for entry in log.after(2, 10_000)] == [3, 4, 5]


def test_a_batch_stops_at_its_bytes_but_holds_one_message() -> None:
    """A batch keeps to its bytes, except that one message always fits."""
    log = StreamLog(60, 1_000_000)
    for seq in range(1, 4):
        log.append(message(seq, size=1000), now=0)
    assert [entry.seq for entry in log.after(0, 10)] == [1]
    assert [entry.seq for entry in log.after(0, 2100)] == [1, 2]


def test_old_messages_leave() -> None:
    """A message that is older than the log's age is forgotten, the last one stays."""
    log = StreamLog(60, 10_000)
    log.append(message(1), now=0)
    log.append(message(2), now=50)
    log.trim(now=61)
    assert log.oldest == 2
    log.trim(now=1000)
    assert (log.oldest, log.last, len(log)) == (2, 2, 1)


def test_a_number_out_of_turn_is_refused() -> None:
    """A log takes the next number only, so that a stream never has a hole."""
    log = StreamLog(60, 10_000)
    with pytest.raises(ValueError, match="message 2 does not follow 0"):
        log.append(message(2), now=0)
    assert log.last == 0


@given(st.lists(st.integers(0, 400), min_size=1, max_size=50), st.integers(100, 2000))
def test_bytes_are_what_the_entries_hold(sizes: list[int], most: int) -> None:
    """The counted bytes are those of the messages held, and beyond the bound one message at most remains."""
    log = StreamLog(60, most)
    for seq, size in enumerate(sizes, 1):
        log.append(message(seq, size), now=0)
    entries = log.after(0, 10**9)
    assert log.bytes == sum(len(entry.raw) for entry in entries)
    assert log.bytes <= most or len(entries) == 1
    assert entries[-1].seq == log.last == len(sizes)

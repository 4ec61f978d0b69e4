"""The log of a stream keeps its newest messages, within its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsnode.domain.log import StreamLog


def filled(*sizes: int, at: float = 0) -> StreamLog:
    """A log of 60 seconds with a message of each size."""
    log = StreamLog(60)
    for seq, size in enumerate(sizes, 1):
        log.append(seq, b"x" * size, at)
    return log


def test_messages_after_a_number_come_in_order() -> None:
    """All that follows a sequence number is found, oldest first."""
    assert [entry.seq for entry in filled(1, 1, 1, 1, 1).after(2, 10_000)] == [3, 4, 5]


def test_a_batch_stops_at_its_bytes_but_holds_one_message() -> None:
    """A batch keeps to its bytes, except that one message always fits."""
    log = filled(1000, 1000, 1000)
    assert [entry.seq for entry in log.after(0, 10)] == [1]
    assert [entry.seq for entry in log.after(0, 2100)] == [1, 2]


def test_old_messages_leave() -> None:
    """A message that is older than the log's age is forgotten, the last one stays."""
    log = filled(1)
    log.append(2, b"x", now=50)
    log.trim(now=61)
    assert log.oldest == 2
    log.trim(now=1000)
    assert (log.oldest, log.last, len(log)) == (2, 2, 1)


def test_a_number_out_of_turn_is_refused() -> None:
    """A log takes the next number only, so that what it holds never has a hole."""
    log = StreamLog(60)
    with pytest.raises(ValueError, match="message 2 does not follow 0"):
        log.append(2, b"x", now=0)
    assert log.last == 0


def test_after_a_gap_only_what_follows_is_held() -> None:
    """What was held before a gap is no unbroken tail, and leaves."""
    log = filled(1, 1)
    log.skip_to(5)
    log.append(6, b"x", now=0)
    assert (log.oldest, log.last, log.bytes) == (6, 6, 1)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=50), st.integers(0, 5000))
def test_bytes_are_what_the_entries_hold(sizes: list[int], excess: int) -> None:
    """The counted bytes are those of the messages held, and giving back frees what was asked for, but the last one."""
    log = filled(*sizes)
    before, dropped = log.bytes, log.give_back(excess)
    entries = log.after(0, 10**9)
    assert log.bytes == sum(len(entry.raw) for entry in entries)
    assert len(entries) == len(sizes) - dropped
    assert before - log.bytes >= excess or len(entries) == 1
    assert entries[-1].seq == log.last == len(sizes)

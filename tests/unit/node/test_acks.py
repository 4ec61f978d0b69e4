"""A publish is settled when enough other nodes hold its message."""

from __future__ import annotations

import pytest

from wsnode.domain.acks import Acknowledgements, Acks, Waiting, enough


@pytest.mark.parametrize(
    ("wanted", "held_by", "up", "expected"),
    [
        (0, [], {"b"}, True),
        (1, [], {"b"}, False),
        (1, ["b"], {"b", "c"}, True),
        (2, ["b"], {"b", "c"}, False),
        ("all", ["b"], {"b", "c"}, False),
        ("all", ["b", "c"], {"b", "c"}, True),
        ("all", ["c"], {"c"}, True),
        ("all", [], set(), True),
    ],
)
def test_enough(wanted: Acks, held_by: list[str], up: set[str], expected: bool) -> None:
    """A number counts holders, `all` means every peer that is up."""
    assert enough(wanted, held_by, up) is expected


def test_each_publish_is_settled_once_with_its_holders() -> None:
    """A waiting publish learns who holds its message, and only once."""
    told: list[list[str]] = []
    table = Acknowledgements()
    table.wait(Waiting("a~1", 5, 1, told.append))
    table.check(lambda stream, seq: ["b"] if seq <= 4 else [], up=["b"])
    assert told == []
    table.check(lambda stream, seq: ["b"], up=["b"])
    table.check(lambda stream, seq: ["b", "c"], up=["b", "c"])
    assert told == [["b"]]
    assert len(table) == 0


def test_a_publish_that_gave_up_is_not_settled() -> None:
    """After its time has run out a publish hears nothing more."""
    told: list[list[str]] = []
    table = Acknowledgements()
    waiting = Waiting("a~1", 1, 1, told.append)
    table.wait(waiting)
    table.give_up(waiting)
    table.check(lambda stream, seq: ["b"], up=["b"])
    assert told == []


def test_all_is_settled_when_the_missing_peer_goes_down() -> None:
    """Who waits for all does not wait for a node that has gone down meanwhile."""
    told: list[list[str]] = []
    table = Acknowledgements()
    table.wait(Waiting("a~1", 1, "all", told.append))
    table.check(lambda stream, seq: ["b"], up=["b", "c"])
    assert told == []
    table.check(lambda stream, seq: ["b"], up=["b"])
    assert told == [["b"]]

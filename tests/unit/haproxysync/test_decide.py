"""Which answers are believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxysync.domain.decide import Accept, Refuse, decide
from haproxysync.domain.slots import Slot, Slots


def slots(generation: int, *nodes: int) -> Slots:
    """A list in which node n holds slot n."""
    return Slots(generation, tuple(Slot(n, f"n{n}", "here", "10.0.0.1", 7000 + n, 100, "ready") for n in nodes))


def reason(last: Slots | None, answer: Slots, *, max_removal: float = 0.5, force: bool = False) -> str | None:
    """Why the answer is refused, None if it is accepted."""
    decision = decide(last, answer, max_removal=max_removal, force=force)
    return decision.reason if isinstance(decision, Refuse) else None


@pytest.mark.parametrize(
    ("last", "answer", "expected"),
    [
        (None, slots(0), None),
        (None, slots(7, 1, 2, 3), None),
        (slots(7), slots(8), None),
        (slots(7, 1), slots(7, 1), None),
        (slots(7, 1), slots(6, 1), "older_generation"),
        (slots(7, 1), slots(8), "empty"),
        (slots(7, 1, 2), slots(8, 1), None),
        (slots(7, 1, 2), slots(8, 3, 4), "mass_removal"),
        (slots(7, 1, 2, 3), slots(8, 1), "mass_removal"),
        (slots(7, 1, 2, 3), slots(8, 1, 4, 5, 6), "mass_removal"),
        (slots(7, 1, 2, 3, 4), slots(8, 1, 2), None),
        (slots(7, 1, 2, 3, 4), slots(8, 1), "mass_removal"),
    ],
)
def test_what_looks_like_a_fault_is_refused(last: Slots | None, answer: Slots, expected: str | None) -> None:
    """Older, empty, and the loss of more than half are refused; the first answer and ordinary changes are not."""
    assert reason(last, answer) == expected


@pytest.mark.parametrize(("share", "expected"), [(0.0, "mass_removal"), (0.5, None), (1.0, None)])
def test_share_that_may_go_is_a_setting(share: float, expected: str | None) -> None:
    """The share decides about two of four nodes."""
    assert reason(slots(7, 1, 2, 3, 4), slots(8, 1, 2), max_removal=share) == expected


def test_single_node_may_always_go() -> None:
    """One node is never a mass, whatever the share."""
    assert reason(slots(7, 1, 2), slots(8, 2), max_removal=0.0) is None


def test_same_slot_with_another_node_counts_as_gone() -> None:
    """Nodes are counted by their id: a list that renames them all is suspect."""
    renamed = Slots(8, tuple(Slot(n, f"x{n}", "here", "10.0.0.1", 7000 + n, 100, "ready") for n in (1, 2)))
    assert reason(slots(7, 1, 2), renamed) == "mass_removal"


@given(st.sets(st.integers(1, 9)), st.sets(st.integers(1, 9)), st.integers(0, 9), st.integers(0, 9))
def test_force_accepts_everything_valid(last: set[int], answer: set[int], before: int, after: int) -> None:
    """A person's word is final."""
    given_answer = slots(after, *answer)
    assert decide(slots(before, *last), given_answer, max_removal=0, force=True) == Accept(given_answer)

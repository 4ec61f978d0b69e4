"""The simulation bites: each fault put into the code under test is found."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.faults import FAULTS
from tests.simulation.scenario import breaks

ENOUGH = 300
"""Seeds within which each fault must be found."""


@pytest.fixture(params=FAULTS)
def injected(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One fault, in force during the test."""
    FAULTS[request.param][0](monkeypatch)
    yield request.param


def test_an_injected_fault_is_found(injected: str) -> None:
    """With a fault in the code under test the simulation reports a broken promise."""
    known = FAULTS[injected][1]
    if not any(breaks(seed) is not None for seed in (known, *range(ENOUGH))):
        pytest.fail(f"{ENOUGH} seeds do not notice: {injected}")


def test_there_are_enough_faults() -> None:
    """The faults are of all kinds: streams, acknowledgements, idempotency, resuming, presence and counts."""
    assert len(FAULTS) >= 15

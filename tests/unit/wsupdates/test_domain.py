from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsupdates.domain import generation, keys
from wsupdates.domain.rates import Rates
from wsupdates.web.openapi import as_version_3_0


@given(st.integers(0, 2**40), st.floats(0, 2**40))
def test_the_generation_grows(before: int, now: float) -> None:
    """The next generation is greater than the last and not behind the time."""
    after = generation.after(before, now)
    assert after > before
    assert after >= int(now)


def test_a_restored_registry_is_newer() -> None:
    """A generation from an old backup is followed by one that is newer than any handed out since."""
    handed_out = generation.after(generation.after(100, 1_800_000_000), 1_800_000_500)
    assert generation.after(100, 1_800_000_600) > handed_out


@pytest.mark.parametrize("weak", ["", "admin", "a" * 40, "abcabcabcabcabcabcabcabcabc", "abcdefghijklmnopqrstuvw"])
def test_weak_keys(weak: str) -> None:
    """A key that is short, or has few different characters, is weak; the reason does not repeat it."""
    reason = keys.weakness(weak)
    assert reason == "at least 24 characters, 10 of them different"


def test_strong_keys() -> None:
    """24 characters, 10 of them different, are enough."""
    assert keys.weakness("0123456789" + "0" * 14) is None


def test_rates_allow_a_burst_and_then_the_rate() -> None:
    """A caller may ask five seconds' worth at once, and after that as often as the rate says."""
    rates = Rates(2)
    assert sum(rates.take("a", 100.0) for _ in range(20)) == 10
    assert sum(rates.take("a", 101.0) for _ in range(20)) == 2
    assert sum(rates.take("a", 200.0) for _ in range(20)) == 10
    assert rates.take("b", 200.0)


def test_schemas_of_openapi_3_0() -> None:
    """What may be null is nullable, and an exclusive bound is a bound with a mark."""
    assert as_version_3_0({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}) == {
        "type": "string",
        "nullable": True,
        "default": None,
    }
    assert as_version_3_0([{"anyOf": [{"$ref": "#/x"}, {"type": "null"}]}]) == [
        {"allOf": [{"$ref": "#/x"}], "nullable": True}
    ]
    assert as_version_3_0({"exclusiveMinimum": 0}) == {"minimum": 0, "exclusiveMinimum": True}

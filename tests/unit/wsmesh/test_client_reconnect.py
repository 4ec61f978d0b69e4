"""When the client connects again."""

from __future__ import annotations

from random import Random

import pytest

from wsmesh.client.reconnect import Reconnect


def reconnect(seed: int = 1) -> Reconnect:
    return Reconnect(Random(seed))


@pytest.mark.parametrize("code", [4000, 4001, 4009, 4099])
def test_codes_that_forbid_it(code: int) -> None:
    """After 4000 to 4099 the client does not come back."""
    assert reconnect().lost(code, 0) is None


@pytest.mark.parametrize("code", [4100, 4199])
def test_codes_that_ask_for_a_pause(code: int) -> None:
    """After 4100 to 4199 it waits at least a second, however often it is closed."""
    here = reconnect()
    waits = [here.lost(code, now) for now in range(50)]
    assert all(wait is not None and 1 <= wait <= 31 for wait in waits)


@pytest.mark.parametrize("code", [4200, 4202, 4299])
def test_codes_that_allow_it_at_once(code: int) -> None:
    """After 4200 to 4299 it comes back at once."""
    here = reconnect()
    here.connected(0)
    assert here.lost(code, 1) == 0


def test_a_server_that_closes_everyone_at_once_is_not_stormed() -> None:
    """Closed with 4200 again and again, the client waits longer and longer all the same."""
    here = reconnect()
    waits = []
    for now in range(40):
        here.connected(now)
        waits.append(here.lost(4200, now + 0.1) or 0.0)
    assert waits[0] == 0
    assert max(waits[1:4]) <= 8
    assert sum(waits[10:]) / 30 > 8


@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 1011, 4300, 3000])
def test_anything_else_is_full_jitter(code: int | None) -> None:
    """Otherwise the wait is spread evenly from 0 to a bound that doubles up to 30 seconds."""
    first = [reconnect(seed).lost(code, 0) for seed in range(300)]
    assert all(wait is not None and 0 <= wait <= 1 for wait in first)
    assert 0.4 < sum(wait or 0 for wait in first) / 300 < 0.6
    here = reconnect()
    late = [here.lost(code, now) or 0.0 for now in range(500)][100:]
    assert max(late) <= 30
    assert 13 < sum(late) / 400 < 17


def test_the_seed_replays_the_waits() -> None:
    """The same seed gives the same waits; another gives others."""
    assert [reconnect(3).lost(1006, 0) for _ in range(3)] == [reconnect(3).lost(1006, 0)] * 3
    assert reconnect(3).lost(1006, 0) != reconnect(4).lost(1006, 0)


def test_a_connection_that_lasted_starts_over() -> None:
    """After a connection of five seconds the waits are short again."""
    here = reconnect()
    for now in range(20):
        here.lost(1006, now)
    here.connected(100)
    assert here.lost(4200, 105) == 0
    here.connected(200)
    assert (here.lost(4200, 204.9) or 0) > 0


def test_no_number_of_failures_is_too_many() -> None:
    """After thousands of failures the wait is still bounded."""
    here = reconnect()
    assert all(0 <= (here.lost(None, now) or 0) <= 30 for now in range(5000))

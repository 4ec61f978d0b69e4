"""The accounts that tests/failover believes: they find what is lost, doubled or out of order."""

from __future__ import annotations

from tests.failover.account import Account
from tests.failover.plot import plot
from tests.failover.publishers import Published
from tests.failover.results import evaluate, most_within, quantiles
from tests.failover.scenarios import SCENARIOS


def take(account: Account, event_id: str, number: int, *, connection: int = 1, keyed: bool = True) -> bool:
    return account.take(event_id, keyed=keyed, publisher=1, number=number, connection=connection)


def test_a_whole_account_has_nothing_to_say() -> None:
    """Messages of two streams, each once and in order, make neither gaps nor duplicates nor disorder."""
    account = Account()
    assert all([take(account, "n1~a:1", 1), take(account, "n2~b:1", 2), take(account, "n1~a:5", 3)])
    assert (account.missing({1: 3}), account.duplicates, account.disorder) == ([], [], [])


def test_a_gap_is_found() -> None:
    """A number that never came is missing, also the last one; of an unknown publisher all are."""
    account = Account()
    take(account, "n1~a:1", 1)
    take(account, "n1~a:3", 3)
    assert account.missing({1: 4, 2: 1}) == ["1/2", "1/4", "2/1"]


def test_disorder_is_found_within_a_stream() -> None:
    """A number below the last one of its stream is out of order; other streams do not matter."""
    account = Account()
    take(account, "n1~a:7", 1)
    take(account, "n2~b:3", 2)
    assert account.disorder == []
    take(account, "n1~a:6", 3)
    assert account.disorder == ["n1~a:6 after n1~a:7"]


def test_the_same_event_twice_is_a_duplicate() -> None:
    """An event that comes again is a duplicate, over whatever connection and with or without a key."""
    account = Account()
    take(account, "n1~a:1", 1)
    assert not take(account, "n1~a:1", 1, connection=2)
    assert len(account.duplicates) == 1


def test_a_repeated_publish_is_dropped_by_its_key_after_a_change_of_node_only() -> None:
    """Two events of one message: the client's to drop after a reconnect, the node's fault within a connection."""
    account = Account()
    take(account, "n1~a:1", 1)
    assert not take(account, "n2~b:1", 1, connection=2)
    assert (account.repeats, account.duplicates, account.received) == (1, [], 1)
    assert not take(account, "n3~c:1", 1, connection=1)
    assert len(account.duplicates) == 1
    take(account, "n2~b:2", 2)
    assert not take(account, "n3~c:2", 2, connection=2, keyed=False)
    assert len(account.duplicates) == 2


def test_the_busiest_second_is_found_wherever_it_lies() -> None:
    """The most events within any second, not within a second of the clock."""
    assert most_within([0.0, 0.9, 1.1, 1.5, 1.85, 3.0], 1.0) == 4
    assert most_within([], 1.0) == 0


def test_quantiles_are_values_that_were_seen() -> None:
    """The 99th percentile of a hundred values is the second greatest or the greatest."""
    found = quantiles([float(number) for number in range(1, 101)])
    assert found == {"p50": 51.0, "p99": 100.0, "max": 100.0, "number": 100}
    assert quantiles([]) is None


def test_reconnects_are_counted_in_seconds_from_the_first_message() -> None:
    """A client that came back 1.5 seconds after the first message is in the second second, and recovered in 0.7."""
    loss = {"lost": 101.0, "back": 101.5, "first": 101.7, "recovered": True, "code": 4200, "client": 0}
    account = {
        "name": 0,
        "received": 2,
        "repeats": 0,
        "duplicates": [],
        "disorder": [],
        "silence": 0.7,
        "losses": [loss],
    }
    end = {
        "clients": [account],
        "lost": [],
        "unrecovered": [],
        "errors": {},
        "buckets": {"401": 1},
        "latencies": {"9": 2},
    }
    marks = [(101.0, "fault"), (103.0, "all is well")]
    result = evaluate(SCENARIOS[0], 1, 100.0, marks, ["seen"], Published({"c": {0: 2}}, total=2), [end])
    assert result.reconnect_curve == [0, 1, 0, 0]
    assert (result.lost, result.duplicated, result.disordered, result.reconnects) == (0, 0, 0, 1)
    assert result.from_fault is not None
    assert round(result.from_fault["p99"], 3) == 0.7
    assert result.most_in_a_second == 1
    assert "all is well" in plot(result)

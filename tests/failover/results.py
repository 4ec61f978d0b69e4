"""What a run came to: the accounts of all clients put together, and the figures of the report."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from tests.failover.clients import BUCKET
from tests.failover.publishers import Published
from tests.failover.scenarios import Scenario

SHOWN = 20
"""Of faults of one kind, how many are named."""


@dataclass(frozen=True)
class Result:
    """Of one scenario; seconds. Curves are per second, from the first message on: two with a value for each bucket,
    that of the reconnects with one for each second.
    """

    name: str
    title: str
    about: str
    goal: float | None
    clients: int
    seconds: float
    marks: list[tuple[float, str]]
    proofs: list[str]
    published: int
    unacknowledged: int
    retries: dict[str, int]
    delivered: int
    lost: int
    duplicated: int
    disordered: int
    repeats: int
    unrecovered: int
    wrong: list[str]
    """The first ones of all that must not be."""
    reconnects: int
    codes: dict[str, int]
    from_fault: dict[str, float] | None
    """Recovery of the clients cut by the fault: from it to the first message over a new connection."""
    from_loss: dict[str, float] | None
    """The same from the loss of the connection, for every loss."""
    most_in_a_second: float
    """Greatest share of the clients that came back within one second."""
    silence: dict[str, float]
    publish_ms: dict[str, float]
    deliver_ms: dict[str, float]
    errors: dict[str, int]
    curve: list[float]
    acknowledged_curve: list[float]
    reconnect_curve: list[int]

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Result:
        """From a file."""
        return cls(**fields | {"marks": [(at, what) for at, what in fields["marks"]]})


def evaluate(
    scenario: Scenario,
    clients: int,
    began: float,
    marks: list[tuple[float, str]],
    proofs: list[str],
    published: Published,
    ends: list[dict[str, Any]],
) -> Result:
    """Put the accounts together."""
    accounts = [account for end in ends for account in end["clients"]]
    losses = [loss for account in accounts for loss in account["losses"]]
    lost = [text for end in ends for text in end["lost"]]
    duplicates = [f"client {one['name']}: {text} twice" for one in accounts for text in one["duplicates"]]
    disorder = [f"client {one['name']}: {text}" for one in accounts for text in one["disorder"]]
    unrecovered = [f"client {name} was not recovered" for end in ends for name in end["unrecovered"]]
    first = marks[0][0]
    backs = sorted(loss["back"] for loss in losses if "back" in loss)
    delivered = merged(end["buckets"] for end in ends)
    last = max([*delivered, *published.buckets, int(marks[-1][0] / BUCKET)])
    return Result(
        name=scenario.name,
        title=scenario.title,
        about=scenario.about,
        goal=scenario.goal,
        clients=clients,
        seconds=last * BUCKET - began,
        marks=[(at - began, what) for at, what in marks],
        proofs=proofs,
        published=published.total,
        unacknowledged=len(published.unacknowledged),
        retries=dict(published.retries),
        delivered=sum(account["received"] for account in accounts),
        lost=len(lost),
        duplicated=len(duplicates),
        disordered=len(disorder),
        repeats=sum(account["repeats"] for account in accounts),
        unrecovered=len(unrecovered),
        wrong=[*lost[:SHOWN], *duplicates[:SHOWN], *disorder[:SHOWN], *unrecovered[:SHOWN]],
        reconnects=len(backs),
        codes=dict(Counter(str(loss["code"] or "none") for loss in losses)),
        from_fault=quantiles([loss["first"] - first for loss in cut(losses, marks) if "first" in loss]),
        from_loss=quantiles([loss["first"] - loss["lost"] for loss in losses if "first" in loss]),
        most_in_a_second=most_within(backs, 1.0) / clients,
        silence=quantiles([account["silence"] for account in accounts]) or {},
        publish_ms=weighted(published.latencies),
        deliver_ms=weighted(merged(end["latencies"] for end in ends)),
        errors=dict(sum((Counter(end["errors"]) for end in ends), Counter[str]())),
        curve=curve(delivered, began, last),
        acknowledged_curve=curve(published.buckets, began, last),
        reconnect_curve=[
            sum(began + at <= back < began + at + 1 for back in backs) for at in range(int(last * BUCKET - began) + 1)
        ],
    )


def cut(losses: list[dict[str, Any]], marks: list[tuple[float, str]]) -> list[dict[str, Any]]:
    """The losses between the fault and the next thing that was done; of each client the first."""
    found: dict[int, dict[str, Any]] = {}
    for loss in losses:
        if marks[0][0] <= loss["lost"] < marks[1][0]:
            found.setdefault(loss["client"], loss)
    return list(found.values())


def merged(counts: Any) -> Counter[int]:
    """Several counts as one; JSON has made texts of the numbers."""
    total: Counter[int] = Counter()
    for count in counts:
        total.update({int(number): times for number, times in count.items()})
    return total


def curve(buckets: Counter[int], began: float, last: int) -> list[float]:
    """Per second, one value for each bucket."""
    return [buckets[number] / BUCKET for number in range(int(began / BUCKET), last + 1)]


def most_within(times: list[float], seconds: float) -> int:
    """How many of the sorted times lie within one span, at most."""
    most = start = 0
    for end, time in enumerate(times):
        while time - times[start] >= seconds:
            start += 1
        most = max(most, end - start + 1)
    return most


def quantiles(values: list[float]) -> dict[str, float] | None:
    """Half, 99 in 100, and the most."""
    if not values:
        return None
    ranked = sorted(values)
    return {"p50": at(ranked, 0.5), "p99": at(ranked, 0.99), "max": ranked[-1], "number": len(ranked)}


def weighted(counts: Counter[int]) -> dict[str, float]:
    """The same of counted values."""
    total, passed, found = sum(counts.values()), 0, {}
    for value in sorted(counts):
        passed += counts[value]
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            if name not in found and passed >= share * total:
                found[name] = float(value)
    return found | {"max": float(max(counts, default=0))}


def at(ranked: list[float], share: float) -> float:
    """The value that a share of all does not exceed."""
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]

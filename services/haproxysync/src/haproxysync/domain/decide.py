"""Whether an answer of the registry may replace the last good state."""

from __future__ import annotations

from dataclasses import dataclass

from haproxysync.domain.slots import Slots

REASONS = (
    "unreachable",
    "unauthorized",
    "invalid",
    "unresolved",
    "older_generation",
    "empty",
    "mass_removal",
)
"""Why an answer was not applied; each is a value of the metric's label `reason`."""


@dataclass(frozen=True)
class Accept:
    """The answer becomes the new good state."""

    slots: Slots


@dataclass(frozen=True)
class Refuse:
    """The last good state is kept; `reason` is one of REASONS, `text` tells a person what was found."""

    reason: str
    text: str


def decide(last: Slots | None, answer: Slots, *, max_removal: float, force: bool) -> Accept | Refuse:
    """Refuse what looks like a fault of the registry rather than a change of the cluster.

    `max_removal` is the greatest share (0 to 1) of the nodes that may disappear at once; a single node always may.
    `force` is the word of a person who looked.
    """
    if last is None or force:
        return Accept(answer)
    if answer.generation < last.generation:
        return Refuse(
            "older_generation",
            f"the registry is at generation {answer.generation}, but {last.generation} was applied before; "
            "if it was restored from a backup, run once with --force",
        )
    if last.slots and not answer.slots:
        return Refuse("empty", f"the list is empty, but the last one had {_nodes(len(last.slots))}")
    present = {slot.node for slot in answer.slots}
    gone = [slot.node for slot in last.slots if slot.node not in present]
    if len(gone) >= 2 and len(gone) > max_removal * len(last.slots):
        return Refuse(
            "mass_removal",
            f"{len(gone)} of {_nodes(len(last.slots))} would go at once ({', '.join(gone[:10])}), "
            f"more than the share of {max_removal:g} allowed; if that is right, run once with --force",
        )
    return Accept(answer)


def _nodes(count: int) -> str:
    return f"{count} node" if count == 1 else f"{count} nodes"

"""What is remembered between two runs: the last good state, and the figures of the metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from haproxysync.domain.decide import REASONS
from haproxysync.domain.slots import InvalidAnswer, Slots, from_json

ERRORS = ("config", "runtime")
"""What failed: HAProxy refused the configuration, or its running process could not be brought to what is wanted."""

PREFIX = "wsmesh_haproxy_sync_"


def _zero(names: tuple[str, ...]) -> dict[str, int]:
    return dict.fromkeys(names, 0)


@dataclass(frozen=True)
class Record:
    """The contents of the state file. Times are seconds since 1970; 0 means never."""

    slots: Slots | None = None
    refusals: Mapping[str, int] = field(default_factory=lambda: _zero(REASONS))
    errors: Mapping[str, int] = field(default_factory=lambda: _zero(ERRORS))
    last_run: float = 0.0
    last_success: float = 0.0
    last_result: str = ""

    def refused(self, reason: str) -> Record:
        """One refusal more."""
        return replace(self, refusals={**self.refusals, reason: self.refusals.get(reason, 0) + 1})

    def failed(self, kind: str) -> Record:
        """One error more."""
        return replace(self, errors={**self.errors, kind: self.errors.get(kind, 0) + 1})

    def as_json(self) -> dict[str, Any]:
        """The contents of the state file."""
        return {
            "slots": self.slots.as_json() if self.slots else None,
            "refusals": dict(self.refusals),
            "errors": dict(self.errors),
            "last_run": self.last_run,
            "last_success": self.last_success,
            "last_result": self.last_result,
        }


def record_from_json(found: Any) -> Record:
    """Read the contents of the state file. Raises ValueError."""
    try:
        slots = found["slots"]
        return Record(
            slots=None if slots is None else from_json(slots, 9999),
            refusals={**_zero(REASONS), **{name: int(found["refusals"][name]) for name in found["refusals"]}},
            errors={**_zero(ERRORS), **{name: int(found["errors"][name]) for name in found["errors"]}},
            last_run=float(found["last_run"]),
            last_success=float(found["last_success"]),
            last_result=str(found["last_result"]),
        )
    except (KeyError, TypeError, ValueError, InvalidAnswer) as problem:
        raise ValueError(f"{type(problem).__name__}: {problem}") from None


def metrics(record: Record, *, slot_count: int, haproxy_up: bool, differences: int) -> str:
    """The text for node_exporter's textfile collector."""
    present = record.slots.slots if record.slots else ()
    states = {state: sum(slot.state == state for slot in present) for state in ("ready", "draining")}
    states["empty"] = max(slot_count - len(present), 0)
    rows: list[tuple[str, str, str, Mapping[str, float]]] = [
        ("last_run_timestamp_seconds", "gauge", "When the last run ended.", {"": record.last_run}),
        ("last_success_timestamp_seconds", "gauge", "When a run last left all right.", {"": record.last_success}),
        ("generation", "gauge", "Generation that is applied.", {"": record.slots.generation if record.slots else 0}),
        ("slots", "gauge", "Slots by state.", {f'{{state="{name}"}}': count for name, count in states.items()}),
        ("refusals_total", "counter", "Answers of the registry not applied.", _labels("reason", record.refusals)),
        ("errors_total", "counter", "Runs in which something failed.", _labels("kind", record.errors)),
        ("haproxy_up", "gauge", "Whether HAProxy answered on its socket.", {"": int(haproxy_up)}),
        ("differences", "gauge", "What HAProxy holds other than wanted.", {"": differences}),
    ]
    lines = []
    for name, kind, about, values in rows:
        lines += [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} {kind}"]
        lines += [f"{PREFIX}{name}{label} {value}" for label, value in values.items()]
    return "\n".join(lines) + "\n"


def _labels(label: str, counts: Mapping[str, int]) -> Mapping[str, float]:
    return {f'{{{label}="{name}"}}': count for name, count in counts.items()}

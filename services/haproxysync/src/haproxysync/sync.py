"""One run: judge the registry's answer, write the configuration, bring the running HAProxy to it, remember."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import IntEnum

from haproxysync.adapters.files import lock, read_text, write_text
from haproxysync.adapters.haproxy import ConfigRefused, HAProxy, NotRunning, Trouble
from haproxysync.apply import Files, converge
from haproxysync.domain.decide import Accept, Refuse, decide
from haproxysync.domain.record import Record, metrics, record_from_json
from haproxysync.domain.slots import InvalidAnswer, Slots, ip_address, parse
from haproxysync.domain.wanted import Wanted, want
from haproxysync.reading import SettingsError
from haproxysync.settings import Settings

LOCK_SECONDS = 3.0


class Exit(IntEnum):
    """Exit codes, as `--help` explains them."""

    OK = 0
    KEPT = 1
    USAGE = 2
    HAPROXY = 3
    LOCKED = 4


@dataclass
class Outcome:
    """What a run came to. `changes` are lines for the log, `problems` one line each, the gravest last."""

    exit: Exit = Exit.OK
    changes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: Refuse | None = None
    haproxy_up: bool = False
    differences: int = 0


@dataclass(frozen=True)
class Sync:
    """The use case with its edges; `now` gives seconds since 1970, `resolve` finds a name's address."""

    settings: Settings
    haproxy: HAProxy
    files: Files
    now: Callable[[], float]
    sleep: Callable[[float], None]
    resolve: Callable[[str], str | None]

    def run(self, answer: bytes | Refuse, *, force: bool = False) -> Outcome:
        """Apply the answer or keep the last good state; either way HAProxy is brought to the state that holds.

        Raises Locked, SettingsError.
        """
        with lock(self.settings.lock_file, seconds=LOCK_SECONDS):
            record = self.record()
            outcome = Outcome()
            decision = self.judge(record, answer, force=force)
            if isinstance(decision, Refuse):
                record = record.refused(decision.reason)
                outcome.exit, outcome.refused = Exit.KEPT, decision
                outcome.problems.append(f"{kept(record.slots)}: {decision.text}")
            try:
                slots = self.target(record, decision)
                if slots is not None:
                    wanted = self.want(slots)
                    outcome.changes += self.files.write(wanted)
                    if isinstance(decision, Accept):
                        record = replace(record, slots=slots)
                        self._save(record)
                    self._converge(wanted, outcome)
            except ConfigRefused as problem:
                record = self._failed(record, outcome, "config", f"HAProxy refuses the configuration: {problem}")
            except Trouble as problem:
                record = self._failed(record, outcome, "runtime", str(problem))
            self._finish(record, outcome)
            return outcome

    def record(self) -> Record:
        """What the last run left; an empty record at the first. Raises SettingsError if it is damaged."""
        path = self.settings.state_file
        text = read_text(path, "STATE_FILE")
        try:
            return Record() if text is None else record_from_json(json.loads(text))
        except ValueError as problem:
            raise SettingsError(
                f"STATE_FILE: {path} is damaged ({problem}); without it a mass removal would not be noticed: "
                "check the registry with --dry-run after moving the file away"
            ) from None

    def judge(self, record: Record, answer: bytes | Refuse, *, force: bool) -> Accept | Refuse:
        """Whether the answer becomes the good state."""
        if isinstance(answer, Refuse):
            return answer
        try:
            slots = parse(answer, self.settings.slots)
        except InvalidAnswer as problem:
            return Refuse("invalid", f"the registry's answer is invalid: {problem}")
        resolved = []
        for slot in slots.slots:
            address = ip_address(slot.host) or self.resolve(slot.host)
            if address is None:
                return Refuse("unresolved", f"the host name {slot.host} of node {slot.node} has no address")
            resolved.append(replace(slot, host=address))
        slots = replace(slots, slots=tuple(resolved))
        return decide(record.slots, slots, max_removal=self.settings.max_removal, force=force)

    def target(self, record: Record, decision: Accept | Refuse) -> Slots | None:
        """The state that holds now. The very first run gives HAProxy a configuration to start with in any case."""
        if isinstance(decision, Accept):
            return decision.slots
        if record.slots is None and not self.settings.haproxy_config.exists():
            return Slots(0)
        return record.slots

    def want(self, slots: Slots) -> Wanted:
        """What HAProxy should hold."""
        return want(slots, location=self.settings.location, slot_count=self.settings.slots)

    def _converge(self, wanted: Wanted, outcome: Outcome) -> None:
        try:
            steps, sent = converge(self.haproxy, wanted, self.sleep)
        except NotRunning as problem:
            outcome.notes.append(f"HAProxy is not running ({problem}); it will start with the configuration as written")
            return
        outcome.haproxy_up = True
        outcome.changes += sent
        outcome.differences = len(steps.commands) + len(steps.missing)
        if steps.missing:
            raise Trouble(f"HAProxy runs with another configuration, reload it once: {'; '.join(steps.missing[:5])}")
        if steps.commands:
            raise Trouble(f"HAProxy differs after the commands, still to do: {'; '.join(steps.commands[:5])}")

    def _failed(self, record: Record, outcome: Outcome, kind: str, text: str) -> Record:
        outcome.exit = Exit.HAPROXY
        outcome.problems.append(text)
        return record.failed(kind)

    def _finish(self, record: Record, outcome: Outcome) -> None:
        now = self.now()
        good = outcome.exit is Exit.OK
        record = replace(
            record,
            last_run=now,
            last_success=now if good else record.last_success,
            last_result="ok" if good else outcome.problems[-1],
        )
        self._save(record)
        path = self.settings.metrics_file
        if path is not None:
            text = metrics(
                record,
                slot_count=self.settings.slots,
                haproxy_up=outcome.haproxy_up,
                differences=outcome.differences,
            )
            write_text(path, text, "METRICS_FILE")

    def _save(self, record: Record) -> None:
        write_text(self.settings.state_file, json.dumps(record.as_json(), indent=1) + "\n", "STATE_FILE")


def kept(slots: Slots | None) -> str:
    """What a refusal leaves in force, for the log."""
    if slots is None:
        return "nothing applied, there is no good state yet"
    return f"kept the last good state (generation {slots.generation}, {len(slots.slots)} nodes)"

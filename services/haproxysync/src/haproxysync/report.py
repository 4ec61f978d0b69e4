"""What `--dry-run` and `--status` print."""

from __future__ import annotations

import difflib
import time
from pathlib import Path

from haproxysync.adapters.files import read_text
from haproxysync.adapters.haproxy import NotRunning, Trouble
from haproxysync.domain.decide import Refuse
from haproxysync.domain.runtime import Runtime
from haproxysync.domain.slots import Slots
from haproxysync.domain.wanted import OTHER, OWN, slot_name
from haproxysync.sync import Exit, Sync, kept


def dry_run(sync: Sync, answer: bytes | Refuse, *, force: bool) -> tuple[Exit, str]:
    """What a run would do now, as text; changes nothing. Raises SettingsError, Trouble."""
    record = sync.record()
    decision = sync.judge(record, answer, force=force)
    slots = sync.target(record, decision)
    code, lines = Exit.OK, []
    if isinstance(decision, Refuse):
        code = Exit.KEPT
        lines.append(f"refused: {decision.text}")
    if slots is None:
        return code, "\n".join([*lines, kept(None)])
    wanted = sync.want(slots)
    config, draining = sync.files.texts(wanted)
    settings = sync.settings
    changes = _diff(settings.haproxy_config, "HAPROXY_CONFIG", config)
    changes += _diff(settings.draining_file, "DRAINING_FILE", draining)
    try:
        steps = sync.haproxy.compare(wanted)
        changes += [f"would send: {command}" for command in steps.commands]
        if steps.missing:
            code = Exit.HAPROXY
            changes += [f"needs a reload of HAProxy: {missing}" for missing in steps.missing]
    except NotRunning as problem:
        lines.append(f"HAProxy is not running ({problem})")
    lines += changes or [f"nothing to do: generation {slots.generation}, {len(slots.slots)} nodes"]
    return code, "\n".join(lines)


def _diff(path: Path, setting: str, new: str) -> list[str]:
    old = read_text(path, setting) or ""
    return list(
        difflib.unified_diff(old.splitlines(), new.splitlines(), f"{path} (now)", f"{path} (then)", n=1, lineterm="")
    )


def status(sync: Sync) -> tuple[Exit, str]:
    """The last good state beside what HAProxy holds; asks no registry. Raises SettingsError."""
    record = sync.record()
    lines = [
        f"last run      {_when(record.last_run)}: {record.last_result or 'none'}",
        f"last success  {_when(record.last_success)}",
    ]
    slots = record.slots or Slots(0)
    code, runtime = Exit.OK, None
    try:
        runtime = sync.haproxy.read()
        steps = sync.haproxy.compare(sync.want(slots))
        state = "running, holds what is wanted"
        if not steps.done():
            code, state = Exit.HAPROXY, f"running, differs: {'; '.join([*steps.commands, *steps.missing])}"
    except NotRunning as problem:
        state = f"not running ({problem})"
    except Trouble as problem:
        code, state = Exit.HAPROXY, f"trouble: {problem}"
    lines += [f"HAProxy       {state}", f"generation    {slots.generation}, {len(slots.slots)} nodes", ""]
    rows = [("SLOT", "NODE", "LOCATION", "ADDRESS", "STATE", "CHECKS"), *_rows(slots, sync.settings.location, runtime)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return code, "\n".join(lines)


def _rows(slots: Slots, location: str, runtime: Runtime | None) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for slot in slots.slots:
        name = slot_name(slot.slot)
        key = (OWN if slot.location == location else OTHER, name)
        checks = "?" if runtime is None else "up" if key in runtime.up else "down"
        host = f"[{slot.host}]" if ":" in slot.host else slot.host
        rows.append((name, slot.node, slot.location, f"{host}:{slot.port}", slot.state, checks))
    return rows


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds)) if seconds else "never"

"""Put a wanted state in place: first in the files that HAProxy starts with, then in the running HAProxy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from haproxysync.adapters.files import read_text, write_text
from haproxysync.adapters.haproxy import HAProxy
from haproxysync.domain.runtime import Plan
from haproxysync.domain.wanted import BadBase, Wanted, draining_list, render
from haproxysync.reading import SettingsError

ROUNDS = 3
"""How often the commands are sent before what still differs is an error."""
SETTLE_STEPS = 20
SETTLE_SECONDS = 0.05
"""HAProxy 3.0 changes addresses a moment after it answered the command."""


@dataclass(frozen=True)
class Files:
    """The configuration, the base it is made of, and the draining list that it names."""

    base: Path
    config: Path
    draining: Path
    check: Callable[[Path], None]
    """Raises ConfigRefused if HAProxy does not accept a configuration."""

    def texts(self, wanted: Wanted) -> tuple[str, str]:
        """What the configuration and the draining list should say. Raises SettingsError."""
        base = read_text(self.base, "HAPROXY_BASE")
        if base is None:
            raise SettingsError(f"HAPROXY_BASE: {self.base} does not exist, expected a configuration with the markers")
        try:
            return render(base, wanted), draining_list(wanted)
        except BadBase as problem:
            raise SettingsError(f"HAPROXY_BASE: {self.base}: {problem}") from None

    def write(self, wanted: Wanted) -> list[str]:
        """Put both in place, the configuration only after the check; says what was written. Raises ConfigRefused."""
        config, draining = self.texts(wanted)
        changes = []
        present = read_text(self.draining, "DRAINING_FILE")
        if present is None:
            write_text(self.draining, "", "DRAINING_FILE", like=self.base)  # `haproxy -c` wants it to exist
        if read_text(self.config, "HAPROXY_CONFIG") != config:
            write_text(self.config, config, "HAPROXY_CONFIG", like=self.base, check=self.check)
            changes.append(f"wrote {self.config}")
        if (present or "") != draining:
            write_text(self.draining, draining, "DRAINING_FILE", like=self.base)
            changes.append(f"wrote {self.draining}")
        return changes


def converge(haproxy: HAProxy, wanted: Wanted, sleep: Callable[[float], None]) -> tuple[Plan, list[str]]:
    """Bring the running HAProxy to what is wanted, read back and compare.

    Returns what still differs, and the commands sent, with what HAProxy said if it was not satisfied. Raises
    NotRunning, Trouble.
    """
    sent: list[str] = []
    steps = haproxy.compare(wanted)
    for _ in range(ROUNDS):
        if not steps.commands:
            break
        for command in steps.commands:
            reply = " ".join(haproxy.send(command).split())
            sent.append(f"{command} -> {reply}" if reply else command)
        for _ in range(SETTLE_STEPS):
            steps = haproxy.compare(wanted)
            if not steps.commands:
                break
            sleep(SETTLE_SECONDS)
    return steps, sent

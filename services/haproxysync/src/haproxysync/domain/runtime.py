"""What the running HAProxy holds, and the commands that bring it to what is wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from haproxysync.domain.slots import ip_address
from haproxysync.domain.wanted import BACKENDS, Key, Mode, Server, Wanted

# Flags of srv_admin_state (HAProxy, include/haproxy/server-t.h). 0x04 only says that the configuration had
# `disabled`; it stays after `state ready` and does not count.
MAINTENANCE = 0x01 | 0x02 | 0x20
DRAIN = 0x08 | 0x10


class BadReply(Exception):
    """HAProxy answered something that is not understood."""


@dataclass(frozen=True)
class Runtime:
    """The servers of both backends, which of them pass their checks, and the entries of the draining list.

    `draining` is None when HAProxy runs with a configuration that does not use the list.
    """

    servers: Mapping[Key, Server]
    draining: tuple[str, ...] | None
    up: frozenset[Key] = frozenset()


@dataclass(frozen=True)
class Plan:
    """Command lines to send, in order, and what commands cannot bring about."""

    commands: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def done(self) -> bool:
        """Whether HAProxy holds what is wanted."""
        return not self.commands and not self.missing


def parse_servers(text: str) -> tuple[dict[Key, Server], frozenset[Key]]:
    """Read `show servers state`. Raises BadReply."""
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2 or not lines[1].startswith("# "):
        raise BadReply(f"'show servers state' answered {text[:80]!r}")
    names = lines[1][2:].split()
    servers: dict[Key, Server] = {}
    up = set()
    for line in lines[2:]:
        row = dict(zip(names, line.split(), strict=False))
        if row.get("be_name") not in BACKENDS:
            continue
        try:
            key = (row["be_name"], row["srv_name"])
            address = ip_address(row["srv_addr"]) or row["srv_addr"]
            servers[key] = Server(
                address, int(row["srv_port"]), int(row["srv_uweight"]), _mode(int(row["srv_admin_state"]))
            )
            if int(row["srv_op_state"]) != 0:
                up.add(key)
        except (KeyError, ValueError):
            raise BadReply(f"'show servers state' answered the row {line[:200]!r}") from None
    return servers, frozenset(up)


def _mode(flags: int) -> Mode:
    if flags & MAINTENANCE:
        return "maint"
    return "drain" if flags & DRAIN else "ready"


def parse_list(text: str) -> tuple[str, ...] | None:
    """Read `show acl FILE`; None if HAProxy does not know the list."""
    if "Unknown ACL identifier" in text:
        return None
    rows = [line.split(None, 1) for line in text.splitlines() if line.strip()]
    if any(len(row) != 2 or not row[0].startswith("0x") for row in rows):
        raise BadReply(f"'show acl' answered {text[:80]!r}")
    return tuple(row[1].strip() for row in rows)


def plan(runtime: Runtime, wanted: Wanted, draining_file: str) -> Plan:
    """The commands from `runtime` to `wanted`; none if they agree. Servers that agree are never named."""
    steps = Plan()
    _plan_list(steps, runtime.draining, wanted.draining, draining_file)
    filled = [(key, server) for key, server in wanted.servers.items() if server.mode != "maint"]
    empty = [(key, server) for key, server in wanted.servers.items() if server.mode == "maint"]
    for key, server in filled + empty:
        present = runtime.servers.get(key)
        name = "/".join(key)
        if present is not None:
            line = _change(name, present, server)
            if line:
                steps.commands.append(line)
        elif server.mode != "maint":
            steps.missing.append(f"{name} (the running HAProxy has no such server)")
    for key, present in runtime.servers.items():
        if key not in wanted.servers and present.mode != "maint":
            steps.commands.append(f"set server {'/'.join(key)} state maint")
    return steps


def _plan_list(steps: Plan, present: tuple[str, ...] | None, wanted: frozenset[str], path: str) -> None:
    if present is None:
        if wanted:
            steps.missing.append(f"{path} (the running HAProxy does not use this list)")
        return
    held = Counter(present)
    for name in sorted(held):
        if name not in wanted:
            steps.commands.append(f"del acl {path} {name}")
    steps.commands.extend(f"add acl {path} {name}" for name in sorted(wanted) if name not in held)


def _change(name: str, present: Server, wanted: Server) -> str:
    """One line of commands, so that HAProxy takes them together."""
    target = f"set server {name}"
    if wanted.mode == "maint":
        return "" if present.mode == "maint" else f"{target} state maint"
    moved = (present.address, present.port) != (wanted.address, wanted.port)
    parts = []
    if moved:
        if present.mode != "maint":
            # Sessions of the node that held the slot before must not outlive it here.
            parts.append(f"{target} state maint")
        parts.append(f"{target} addr {wanted.address} port {wanted.port}")
    if present.weight != wanted.weight:
        parts.append(f"{target} weight {wanted.weight}")
    if present.mode != wanted.mode or moved:
        parts.append(f"{target} state {wanted.mode}")
    if moved or present.mode == "maint":
        # Without this HAProxy would send traffic before any check has passed.
        parts.append(f"{target} health down")
    return "; ".join(parts)

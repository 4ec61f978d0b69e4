"""What HAProxy should hold for a list of slots: the same thing for its configuration and for its running process."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from haproxysync.domain.slots import Slot, Slots

Mode = Literal["ready", "drain", "maint"]
Key = tuple[str, str]
"""Backend and server name, `("nodes_own", "slot01")`."""

OWN = "nodes_own"
OTHER = "nodes_other"
BACKENDS = (OWN, OTHER)
MARKER = re.compile(r"^([ \t]*)# wsmesh-slots (\S+)[ \t]*$", re.MULTILINE)


class BadBase(Exception):
    """The base configuration lacks a marker line or has one twice."""


@dataclass(frozen=True)
class Server:
    """A server line. In mode `maint` the slot is empty, and address and weight mean nothing."""

    address: str
    port: int
    weight: int
    mode: Mode


EMPTY = Server("127.0.0.1", 1, 1, "maint")
"""An empty slot; no connection is ever made to its address."""


@dataclass(frozen=True)
class Wanted:
    """Every server of both backends, and the cookies that HAProxy must not follow any more."""

    servers: Mapping[Key, Server]
    draining: frozenset[str]


def slot_name(number: int) -> str:
    """Name and cookie of a slot; independent of how many there are, so that cookies survive a change of SLOTS."""
    return f"slot{number:02d}"


def want(slots: Slots, *, location: str, slot_count: int) -> Wanted:
    """Put each node in its slot of one backend; the slot of the other backend, and spare ones, stay empty."""
    servers = {(backend, slot_name(n)): EMPTY for backend in BACKENDS for n in range(1, slot_count + 1)}
    for slot in slots.slots:
        backend = OWN if slot.location == location else OTHER
        servers[backend, slot_name(slot.slot)] = _server(slot)
    return Wanted(servers, frozenset(slot_name(slot.slot) for slot in slots.slots if slot.state == "draining"))


def _server(slot: Slot) -> Server:
    if slot.state == "draining":
        return Server(slot.host, slot.port, 0, "drain")
    return Server(slot.host, slot.port, slot.weight, "ready")


def render(base: str, wanted: Wanted) -> str:
    """Replace the markers of the base configuration by server lines. Raises BadBase.

    A draining server has weight 0: there is no word for `state drain` in a configuration, and weight 0 does the same.
    """
    found = [match[1] for match in MARKER.findall(base)]
    for backend in BACKENDS:
        if found.count(backend) != 1:
            raise BadBase(f"expected the line '# wsmesh-slots {backend}' once, found it {found.count(backend)} times")

    def lines(match: re.Match[str]) -> str:
        indent, backend = match.groups()
        own = [(name, server) for (where, name), server in wanted.servers.items() if where == backend]
        return "\n".join(f"{indent}{_line(name, server)}" for name, server in own)

    return MARKER.sub(lines, base)


def _line(name: str, server: Server) -> str:
    host = f"[{server.address}]" if ":" in server.address else server.address
    last = "disabled" if server.mode == "maint" else f"weight {server.weight}"
    return f"server {name} {host}:{server.port} cookie {name} {last}"


def draining_list(wanted: Wanted) -> str:
    """The file of cookies not to follow, one a line."""
    return "".join(f"{name}\n" for name in sorted(wanted.draining))

"""The registry's answer: which node holds which slot."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HOST_NAME = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
STATES = ("ready", "draining")
MAX_WEIGHT = 256


class InvalidAnswer(Exception):
    """The answer of the registry is not what the contract says. The text says where and what."""


@dataclass(frozen=True)
class Slot:
    """A slot that holds a node; `host` is an IP address without brackets, or a name that is yet to be resolved."""

    slot: int
    node: str
    location: str
    host: str
    port: int
    weight: int
    state: str


@dataclass(frozen=True)
class Slots:
    """All slots that hold a node, by number, as of `generation`."""

    generation: int
    slots: tuple[Slot, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The shape that the registry answers."""
        return asdict(self)


def parse(body: bytes | str, slot_count: int) -> Slots:
    """Read the answer of `GET /api/v1/slots`. Raises InvalidAnswer."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidAnswer("it is not JSON") from None
    return from_json(found, slot_count)


def from_json(found: Any, slot_count: int) -> Slots:
    """Check a decoded answer: every field, no slot and no node twice, no slot beyond those configured."""
    if not isinstance(found, dict) or not isinstance(found.get("slots"), list):
        raise InvalidAnswer('expected {"generation": …, "slots": […]}')
    generation = _integer(found, "generation", "the answer", 0, 2**63 - 1)
    slots = sorted((_slot(item, number) for number, item in enumerate(found["slots"])), key=lambda slot: slot.slot)
    for slot in slots:
        if slot.slot > slot_count:
            raise InvalidAnswer(
                f"node {slot.node} has slot {slot.slot}, but SLOTS is {slot_count}; raise SLOTS and reload HAProxy once"
            )
    _unique("slot", [str(slot.slot) for slot in slots])
    _unique("node", [slot.node for slot in slots])
    return Slots(generation, tuple(slots))


def _slot(item: Any, number: int) -> Slot:
    where = f"slots[{number}]"
    if not isinstance(item, dict):
        raise InvalidAnswer(f"{where} is not an object")
    return Slot(
        slot=_integer(item, "slot", where, 1, 9999),
        node=_name(item, "node", where),
        location=_name(item, "location", where),
        host=_host(item, where),
        port=_integer(item, "port", where, 1, 65535),
        weight=_integer(item, "weight", where, 0, MAX_WEIGHT),
        state=_state(item, where),
    )


def _integer(item: dict[str, Any], field: str, where: str, low: int, high: int) -> int:
    value = item.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidAnswer(f"{where}: {field} is {_shown(value)}, expected a whole number from {low} to {high}")
    return value


def _name(item: dict[str, Any], field: str, where: str) -> str:
    value = item.get(field)
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise InvalidAnswer(f"{where}: {field} is {_shown(value)}, expected 1 to 64 letters, digits, dots, dashes")
    return value


def _state(item: dict[str, Any], where: str) -> str:
    value = item.get("state")
    if value not in STATES:
        raise InvalidAnswer(f"{where}: state is {_shown(value)}, expected ready or draining")
    return str(value)


def _host(item: dict[str, Any], where: str) -> str:
    value = item.get("host")
    wrong = InvalidAnswer(f"{where}: host is {_shown(value)}, expected an IP address or a host name")
    if not isinstance(value, str):
        raise wrong
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    address = ip_address(bare)
    if address is not None:
        if address in ("0.0.0.0", "::") or ipaddress.ip_address(address).is_multicast:
            raise wrong
        return address
    # What looks like an address and is none (127.0.0.300) would pass as a name and then be asked of the DNS.
    if not HOST_NAME.fullmatch(bare) or bare.rpartition(".")[2].isdigit():
        raise wrong
    return bare


def ip_address(host: str) -> str | None:
    """The usual spelling of an IP address; None if `host` is a name. A zone (`%eth0`) is not accepted."""
    try:
        return None if "%" in host else str(ipaddress.ip_address(host))
    except ValueError:
        return None


def _unique(what: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise InvalidAnswer(f"{what} {value} appears twice")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

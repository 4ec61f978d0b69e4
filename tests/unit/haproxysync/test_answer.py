"""Reading the registry's answer, and the configuration made of it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from haproxysync.domain.slots import InvalidAnswer, Slot, Slots, parse
from haproxysync.domain.wanted import BadBase, draining_list, render, want
from wsmesh import contract

ITEM: dict[str, Any] = {
    "slot": 2,
    "node": "n2",
    "location": "paris",
    "host": "127.0.0.1",
    "port": 7002,
    "weight": 100,
    "state": "ready",
}
BASE = "global\nbackend nodes_own\n    # wsmesh-slots nodes_own\nbackend nodes_other\n\t# wsmesh-slots nodes_other\n"


def answer(**change: Any) -> str:
    """An answer with one slot."""
    return json.dumps({"generation": 5, "slots": [ITEM | change]})


def test_reads_what_the_contract_writes() -> None:
    """The shape is that of the shared contract, in the order of the slots; unknown fields are ignored."""
    theirs = contract.Slots(
        generation=5,
        slots=[
            contract.Slot(slot=2, node="n2", location="b", host="10.0.0.2", port=7002, weight=0, state="draining"),
            contract.Slot(slot=1, node="n1", location="a", host="node-1.example", port=7001, weight=256, state="ready"),
        ],
    )
    body = msgspec.json.decode(msgspec.json.encode(theirs)) | {"new": 1}
    assert parse(json.dumps(body), 2) == Slots(
        5,
        (
            Slot(1, "n1", "a", "node-1.example", 7001, 256, "ready"),
            Slot(2, "n2", "b", "10.0.0.2", 7002, 0, "draining"),
        ),
    )


@pytest.mark.parametrize(
    ("host", "read"),
    [("[::1]", "::1"), ("fd00:0::0007", "fd00::7"), ("10.0.0.1", "10.0.0.1"), ("a.b-c.example", "a.b-c.example")],
)
def test_hosts_are_read(host: str, read: str) -> None:
    """Addresses in their usual spelling, with or without brackets; names as they are."""
    assert parse(answer(host=host), 9).slots[0].host == read


@pytest.mark.parametrize(
    "change",
    [
        {"host": ""},
        {"host": None},
        {"host": "a b"},
        {"host": "a;b"},
        {"host": "a\nb"},
        {"host": "127.0.0.300"},
        {"host": "224.0.0.1"},
        {"host": "::"},
        {"host": "fe80::1%eth0"},
        {"host": "-a.example"},
        {"host": "x" * 254},
        {"port": 65536},
        {"port": "7001"},
        {"port": 7001.0},
        {"slot": 0},
        {"slot": 10},
        {"slot": True},
        {"weight": -1},
        {"node": "n 1"},
        {"node": "n1\n"},
        {"node": "x" * 65},
        {"location": ""},
        {"state": "gone"},
        {"state": ["ready"]},
    ],
)
def test_wrong_fields_are_named(change: dict[str, Any]) -> None:
    """Each wrong field makes the answer invalid, and the text names it."""
    with pytest.raises(InvalidAnswer, match=next(iter(change))):
        parse(answer(**change), 9)


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", '{"generation": 1, "slots": {}}', '{"slots": []}', "\x00"])
def test_other_shapes_are_invalid(body: str) -> None:
    """Whatever else comes is invalid, not a crash."""
    with pytest.raises(InvalidAnswer):
        parse(body, 9)


def test_configuration_is_the_base_with_server_lines() -> None:
    """Each backend gets all slots, a node in one of them, with the marker's indentation; the rest stays."""
    found = parse(
        json.dumps(
            {
                "generation": 5,
                "slots": [
                    ITEM,
                    ITEM | {"slot": 1, "node": "n1", "host": "::1", "location": "oslo"},
                    ITEM | {"slot": 3, "node": "n3", "port": 7003, "state": "draining"},
                ],
            }
        ),
        3,
    )
    wanted = want(found, location="paris", slot_count=3)
    assert render(BASE, wanted) == (
        "global\n"
        "backend nodes_own\n"
        "    server slot01 127.0.0.1:1 cookie slot01 disabled\n"
        "    server slot02 127.0.0.1:7002 cookie slot02 weight 100\n"
        "    server slot03 127.0.0.1:7003 cookie slot03 weight 0\n"
        "backend nodes_other\n"
        "\tserver slot01 [::1]:7002 cookie slot01 weight 100\n"
        "\tserver slot02 127.0.0.1:1 cookie slot02 disabled\n"
        "\tserver slot03 127.0.0.1:1 cookie slot03 disabled\n"
    )
    assert draining_list(wanted) == "slot03\n"


@pytest.mark.parametrize("base", ["", BASE + "    # wsmesh-slots nodes_own\n", BASE.replace("slots nodes_own", "")])
def test_base_without_its_markers_is_refused(base: str) -> None:
    """A base that lacks a marker, or has it twice, would make a configuration without nodes."""
    with pytest.raises(BadBase, match="wsmesh-slots nodes_own"):
        render(base, want(Slots(1), location="paris", slot_count=1))

"""From whatever HAProxy holds to what is wanted, in commands."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxysync.domain.runtime import BadReply, Runtime, parse_list, parse_servers, plan
from haproxysync.domain.slots import Slot, Slots
from haproxysync.domain.wanted import BACKENDS, EMPTY, OTHER, OWN, Key, Server, Wanted, slot_name, want

FILE = "/etc/haproxy/draining.lst"
SLOTS = 4
KEYS = [(backend, slot_name(number)) for backend in BACKENDS for number in range(1, SLOTS + 1)]

ADDRESSES = st.sampled_from(["127.0.0.1", "10.0.0.7", "fd00::7"])
PORTS = st.sampled_from([1, 7001, 7002])
SERVERS = st.builds(
    Server,
    address=ADDRESSES,
    port=PORTS,
    weight=st.sampled_from([0, 1, 100]),
    mode=st.sampled_from(["ready", "drain", "maint"]),
)
RUNTIMES = st.builds(
    Runtime,
    servers=st.fixed_dictionaries(dict.fromkeys(KEYS, SERVERS)),
    draining=st.lists(st.sampled_from([name for _, name in KEYS])).map(tuple),
)


@st.composite
def wanteds(draw: st.DrawFn) -> Wanted:
    """Any list of nodes, each in its slot."""
    numbers = draw(st.sets(st.integers(1, SLOTS)))
    slots = [
        Slot(
            slot=number,
            node=f"n{number}",
            location=draw(st.sampled_from(["here", "there"])),
            host=draw(ADDRESSES),
            port=draw(PORTS),
            weight=draw(st.sampled_from([0, 1, 100])),
            state=draw(st.sampled_from(["ready", "draining"])),
        )
        for number in sorted(numbers)
    ]
    return want(Slots(1, tuple(slots)), location="here", slot_count=SLOTS)


@dataclass
class Model:
    """HAProxy as far as its commands matter here, and what happened to each server on the way."""

    servers: dict[Key, Server]
    draining: list[str]
    unchecked: set[Key]
    cut: set[Key]

    @classmethod
    def of(cls, runtime: Runtime) -> Model:
        """A model that holds what `runtime` says."""
        return cls(dict(runtime.servers), list(runtime.draining or ()), set(), set())

    def run(self, line: str) -> None:
        """One line of commands; a line is one step for the traffic."""
        for command in line.split("; "):
            match command.split():
                case ["set", "server", name, *what]:
                    backend, _, server = name.partition("/")
                    self._set((backend, server), what)
                case ["add", "acl", file, name] if file == FILE:
                    self.draining.append(name)
                case ["del", "acl", file, name] if file == FILE:
                    assert name in self.draining, "Key not found."
                    self.draining = [held for held in self.draining if held != name]
                case _:
                    raise AssertionError(f"unknown command {command!r}")

    def _set(self, key: Key, what: list[str]) -> None:
        before = self.servers[key]
        match what:
            case ["addr", address, "port", port]:
                if before.mode != "maint":
                    self.unchecked.add(key)
                self.servers[key] = replace(before, address=address, port=int(port))
            case ["weight", weight]:
                self.servers[key] = replace(before, weight=int(weight))
            case ["state", "ready" | "drain" | "maint" as mode]:
                if mode == "maint":
                    self.cut.add(key)
                elif before.mode == "maint":
                    self.unchecked.add(key)
                self.servers[key] = replace(before, mode=mode)
            case ["health", "down"]:
                assert before.mode != "maint"
                self.unchecked.discard(key)
            case _:
                raise AssertionError(f"unknown command {what!r}")

    def as_runtime(self) -> Runtime:
        """What the model would answer."""
        return Runtime(self.servers, tuple(self.draining))


@given(RUNTIMES, wanteds())
def test_plan_always_reaches_what_is_wanted(runtime: Runtime, wanted: Wanted) -> None:
    """After the commands HAProxy holds exactly what is wanted, and a second plan is empty."""
    model = Model.of(runtime)
    for line in plan(runtime, wanted, FILE).commands:
        model.run(line)
        assert not model.unchecked, "traffic before a check has passed"
    for key, server in wanted.servers.items():
        assert model.servers[key].mode == server.mode
        if server.mode != "maint":
            assert model.servers[key] == server
    assert set(model.draining) == wanted.draining
    assert plan(model.as_runtime(), wanted, FILE).done()


@given(RUNTIMES, wanteds())
def test_plan_leaves_servers_alone_that_agree(runtime: Runtime, wanted: Wanted) -> None:
    """No command names a server that holds what is wanted, and no session is cut but in emptied or moved slots."""
    model = Model.of(runtime)
    commands = plan(runtime, wanted, FILE).commands
    for line in commands:
        model.run(line)
    for key, server in wanted.servers.items():
        present = runtime.servers[key]
        if present == server:
            assert not any("/".join(key) in line for line in commands)
        if key in model.cut and server.mode != "maint":
            assert (present.address, present.port) != (server.address, server.port)


NODE = Slot(slot=1, node="n1", location="here", host="10.0.0.1", port=7001, weight=100, state="ready")


def planned(present: Server, slot: Slot = NODE, *, draining: tuple[str, ...] = ()) -> list[str]:
    """The commands for one slot of this location."""
    wanted = want(Slots(1, (slot,)), location="here", slot_count=1)
    return plan(Runtime({(OWN, "slot01"): present, (OTHER, "slot01"): EMPTY}, draining), wanted, FILE).commands


def test_filling_an_empty_slot_is_one_line() -> None:
    """A node that joins is down until its checks pass, in one line so that no request slips in between."""
    assert planned(EMPTY) == [
        "set server nodes_own/slot01 addr 10.0.0.1 port 7001; set server nodes_own/slot01 weight 100; "
        "set server nodes_own/slot01 state ready; set server nodes_own/slot01 health down"
    ]


def test_draining_moves_cookies_first() -> None:
    """A drain puts the cookie on the list before anything else, and names neither address nor health."""
    assert planned(Server("10.0.0.1", 7001, 100, "ready"), replace(NODE, state="draining")) == [
        f"add acl {FILE} slot01",
        "set server nodes_own/slot01 weight 0; set server nodes_own/slot01 state drain",
    ]


def test_end_of_a_drain_needs_no_check() -> None:
    """A node that stays after all was checked all the time."""
    assert planned(Server("10.0.0.1", 7001, 0, "drain"), draining=("slot01",)) == [
        f"del acl {FILE} slot01",
        "set server nodes_own/slot01 weight 100; set server nodes_own/slot01 state ready",
    ]


def test_new_address_cuts_the_old_sessions() -> None:
    """Sessions of whoever held the slot before do not outlive it there."""
    (line,) = planned(Server("10.0.0.9", 7001, 100, "ready"))
    assert line.startswith("set server nodes_own/slot01 state maint; set server nodes_own/slot01 addr 10.0.0.1")


def test_what_the_running_haproxy_lacks_is_missing() -> None:
    """Neither a slot nor the list can be made at run time: both are reported."""
    wanted = want(Slots(1, (replace(NODE, state="draining"),)), location="here", slot_count=2)
    steps = plan(Runtime({}, None), wanted, FILE)
    assert steps.commands == []
    assert len(steps.missing) == 2
    assert not steps.done()


def test_slots_beyond_those_wanted_are_emptied() -> None:
    """After SLOTS was lowered, the running HAProxy sends nobody to slots that its configuration no longer has."""
    runtime = Runtime({(OWN, "slot09"): Server("10.0.0.9", 7001, 100, "ready")}, ())
    wanted = want(Slots(1), location="here", slot_count=1)
    assert plan(runtime, wanted, FILE).commands == ["set server nodes_own/slot09 state maint"]


STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port
3 nodes_own 1 slot01 127.0.0.1 2 0 100 100 7001
3 nodes_own 2 slot02 127.0.0.1 0 5 1 1 1
3 nodes_own 3 slot03 fd00:0::7 0 4 50 1 7003
3 nodes_own 4 slot04 127.0.0.1 2 8 0 0 7004
5 page_site 1 slot01 127.0.0.1 2 0 1 1 80
"""


def test_servers_state_is_read_by_its_column_names() -> None:
    """The mode is in the flags; `disabled` in the configuration (0x04) alone is no maintenance."""
    servers, up = parse_servers(STATE)
    assert servers == {
        (OWN, "slot01"): Server("127.0.0.1", 7001, 100, "ready"),
        (OWN, "slot02"): Server("127.0.0.1", 1, 1, "maint"),
        (OWN, "slot03"): Server("fd00::7", 7003, 50, "ready"),
        (OWN, "slot04"): Server("127.0.0.1", 7004, 0, "drain"),
    }
    assert up == {(OWN, "slot01"), (OWN, "slot04")}


@pytest.mark.parametrize("text", ["", "1\n", "Unknown command.\n", STATE.replace(" 7003", " none")])
def test_servers_state_that_is_not_understood(text: str) -> None:
    """What is not understood is an error, never an empty HAProxy."""
    with pytest.raises(BadReply):
        parse_servers(text)


def test_draining_list_is_read() -> None:
    """Entries come with an address of memory; an unknown list is no empty list."""
    assert parse_list("0x7f4938047d60 slot01\n0x7f4938047d61 slot02\n\n") == ("slot01", "slot02")
    assert parse_list("\n") == ()
    assert parse_list("Unknown ACL identifier. Please use #<id> or <file>.\n") is None
    with pytest.raises(BadReply):
        parse_list("Permission denied\n")

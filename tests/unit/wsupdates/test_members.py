from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.registry import wanted
from wsmesh.contract import Figures
from wsupdates.domain import members
from wsupdates.domain.members import Claim, Member
from wsupdates.domain.refusals import Refusal

NOW = 1000.0


def claim(present: list[Member], node: str, run: str | None = None, *, slots: int = 3, now: float = NOW) -> Claim:
    return members.claim(present, wanted(node, run), slots=slots, now=now)


def test_slots_are_the_lowest_free() -> None:
    """Each new node gets the lowest free slot, from 1."""
    one = claim([], "a").member
    two = claim([one], "b").member
    assert (one.slot, two.slot) == (1, 2)
    assert claim([two], "c").member.slot == 1


@pytest.mark.parametrize("state", ["lost", "left"])
def test_a_returning_node_keeps_its_slot(state: str) -> None:
    """A node that was lost or left comes back, as a new run, to the slot it had."""
    first = claim([], "a").member
    second = claim([first], "b").member
    away = members.gone(second, state, NOW)  # type: ignore[arg-type]
    back = claim([first, away], "b", "b~run2", now=NOW + 99)
    assert back.evicted is None
    assert (back.member.slot, back.member.state, back.member.run, back.member.gone_at) == (2, "ready", "b~run2", None)


def test_the_slot_of_the_longest_gone_is_reused() -> None:
    """With no free slot, the node gone for the longest loses its own."""
    a, b, c = (msgspec.structs.replace(claim([], name).member, slot=slot) for slot, name in enumerate("abc", 1))
    present = [members.gone(a, "left", NOW - 1), members.gone(b, "lost", NOW - 2), c]
    new = claim(present, "d")
    assert (new.member.slot, new.evicted) == (2, "b")


def test_no_free_slot() -> None:
    """With all slots held by live nodes, a new one is refused."""
    present = [msgspec.structs.replace(claim([], name).member, slot=slot) for slot, name in enumerate("abc", 1)]
    with pytest.raises(Refusal, match=r"^all 3 slots hold live nodes; raise SLOTS or remove a node$") as refused:
        claim(present, "d")
    assert (refused.value.status, refused.value.code) == (409, "no_free_slot")


def test_an_id_in_use_is_refused() -> None:
    """A second live run with the same id is refused, and told who holds it."""
    held = claim([], "a", "a~one").member
    with pytest.raises(Refusal) as refused:
        claim([held], "a", "a~two")
    assert (refused.value.status, refused.value.code, refused.value.field) == (409, "node_id_in_use", "id")
    assert refused.value.message == "node a is held by run a~one; give this node another id, or stop that one"


def test_a_restart_proves_itself() -> None:
    """The run that the lease names, shown as the previous one, lets a killed node restart at once."""
    held = claim([], "a", "a~one").member
    again = members.claim([held], wanted("a", "a~two", previous_run="a~one"), slots=3, now=NOW)
    assert (again.member.slot, again.member.run) == (1, "a~two")
    with pytest.raises(Refusal):
        members.claim([held], wanted("a", "a~two", previous_run="a~other"), slots=3, now=NOW)


def test_the_same_run_registers_twice() -> None:
    """Registering again with the same run renews the lease, and others see no change."""
    held = claim([], "a").member
    again = claim([held], "a", now=NOW + 5).member
    assert members.same_to_others(held, again)
    assert again.seen_at == NOW + 5


def test_a_drain_outlives_a_restart() -> None:
    """A node that an administrator drained is still draining after it restarts."""
    held = msgspec.structs.replace(claim([], "a").member, drained=True)
    again = members.claim([held], wanted("a", "a~two", previous_run=held.run), slots=3, now=NOW).member
    assert (again.drained, again.node().state, again.in_slot().state) == (True, "draining", "draining")


def test_lowered_slots_move_a_node() -> None:
    """A node whose slot is beyond SLOTS gets one within when it comes back, and stays drained."""
    held = msgspec.structs.replace(claim([], "a").member, slot=9, drained=True)
    again = members.claim([held], wanted("a", "a~two", previous_run=held.run), slots=3, now=NOW)
    assert (again.member.slot, again.member.drained, again.evicted) == (1, True, None)


def test_heartbeats_of_others_are_refused() -> None:
    """Only the run that holds the lease renews it, and only while it holds it."""
    held = claim([], "a").member
    with pytest.raises(Refusal) as refused:
        members.renew(held, "a~other", "ready", Figures(), NOW)
    assert (refused.value.status, refused.value.code) == (409, "other_run")
    with pytest.raises(Refusal) as refused:
        members.renew(members.gone(held, "lost", NOW), held.run, "ready", Figures(), NOW)
    assert (refused.value.status, refused.value.code) == (404, "unknown_node")


def test_leases_run_out_at_their_end() -> None:
    """A lease runs out when its seconds have passed, not before, and only once."""
    held = claim([], "a").member
    assert members.overdue([held], lease=10, now=NOW + 9.999) == []
    assert members.overdue([held], lease=10, now=NOW + 10) == [held]
    assert members.overdue([members.gone(held, "lost", NOW)], lease=10, now=NOW + 99) == []


def test_the_address_of_a_slot() -> None:
    """A balancer gets host and port apart, an IPv6 host without brackets."""
    held = msgspec.structs.replace(claim([], "a").member, client_address="[fd00::1]:7000")
    assert (held.in_slot().host, held.in_slot().port) == ("fd00::1", 7000)


@given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from(["claim", "lost", "left", "remove"]))))
def test_no_slot_is_held_twice(steps: list[tuple[str, str]]) -> None:
    """Whatever comes and goes, no two nodes hold a slot, and no slot is beyond the bound."""
    present: dict[str, Member] = {}
    for now, (node, step) in enumerate(steps):
        if step == "claim":
            try:
                new = claim(list(present.values()), node, now=float(now))
            except Refusal as refused:
                assert refused.code == "no_free_slot"
                assert sum(member.live for member in present.values()) == 3
                continue
            if new.evicted:
                assert not present.pop(new.evicted).live
            present[node] = new.member
        elif step == "remove":
            present.pop(node, None)
        elif node in present:
            present[node] = members.gone(present[node], step, float(now))  # type: ignore[arg-type]
        slots = [member.slot for member in present.values()]
        assert len(set(slots)) == len(slots)
        assert all(1 <= slot <= 3 for slot in slots)

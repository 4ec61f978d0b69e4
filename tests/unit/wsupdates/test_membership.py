from __future__ import annotations

import asyncio
from itertools import pairwise

import msgspec
import pytest

from tests.support.registry import Clock, wanted
from wsmesh.contract import ClusterConfig, Figures, Heartbeat, Slots
from wsupdates.domain.refusals import Refusal
from wsupdates.usecases.store import Duplicate, StoreUnavailable
from wsupdates.web.services import Services


def nodes_of(services: Services) -> list[str]:
    config = msgspec.json.decode(services.published.config, type=ClusterConfig)
    slots = msgspec.json.decode(services.published.slots, type=Slots)
    assert [node.id for node in config.nodes] == [slot.node for slot in slots.slots]
    return [node.id for node in config.nodes]


async def pass_time(services: Services, clock: Clock, seconds: int) -> list[str]:
    """Let the sweep run once a second; the ids of nodes that were lost."""
    lost = []
    for _ in range(seconds):
        clock.now += 1
        lost += [member.id for member in await services.membership.sweep()]
    return lost


async def test_a_silent_node_is_lost(services: Services, clock: Clock) -> None:
    """A node without heartbeats is lost when its lease ends, and leaves config and slots with a new generation."""
    await pass_time(services, clock, 10)
    await services.membership.register(wanted())
    before = services.published.generation
    assert await pass_time(services, clock, 9) == []
    assert nodes_of(services) == ["n1"]
    assert await pass_time(services, clock, 1) == ["n1"]
    assert nodes_of(services) == []
    assert services.published.generation > before
    assert (await services.membership.one("n1")).state == "lost"


async def test_heartbeats_keep_a_lease_and_the_generation(services: Services, clock: Clock) -> None:
    """Heartbeats renew the lease and never touch the generation."""
    lease = await services.membership.register(wanted())
    for _ in range(10):
        await pass_time(services, clock, 5)
        answer = await services.membership.heartbeat("n1", Heartbeat(run="n1~run1", figures=Figures(connections=7)))
        assert answer == lease
    assert nodes_of(services) == ["n1"]
    assert (await services.membership.one("n1")).figures.connections == 7


async def test_heartbeats_are_written_by_the_sweep(services: Services, clock: Clock) -> None:
    """A heartbeat is in the database after the next sweep."""
    await services.membership.register(wanted())
    clock.now += 1
    await services.membership.heartbeat("n1", Heartbeat(run="n1~run1", figures=Figures(connections=7)))
    kept = await services.store.member("n1")
    assert kept is not None
    assert (kept.seen_at, kept.figures.connections) == (clock.now - 1, 0)
    await services.membership.sweep()
    kept = await services.store.member("n1")
    assert kept is not None
    assert (kept.seen_at, kept.figures.connections) == (clock.now, 7)


async def test_an_outage_of_the_registry_removes_nobody(services: Services, clock: Clock) -> None:
    """After a pause longer than the lease every member has a fresh lease, and then the usual one."""
    await services.membership.register(wanted())
    clock.now += 3600
    assert await services.membership.sweep() == []
    assert await pass_time(services, clock, 9) == []
    assert services.membership.lease_left(await services.membership.one("n1")) == 1
    assert await pass_time(services, clock, 1) == ["n1"]


async def test_an_outage_of_the_database_removes_nobody(
    services: Services, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heartbeats outlive a database that does not answer, and leases begin anew when it does."""
    await services.membership.register(wanted())
    await services.membership.register(wanted("n2"))
    await pass_time(services, clock, 5)
    await services.membership.heartbeat("n1", Heartbeat(run="n1~run1", figures=Figures(connections=7)))
    with monkeypatch.context() as broken:

        async def fail(*_: object) -> None:
            raise StoreUnavailable("gone")

        broken.setattr(services.store, "save_heartbeats", fail)
        for _ in range(20):
            clock.now += 1
            with pytest.raises(StoreUnavailable):
                await services.membership.sweep()
    assert await pass_time(services, clock, 9) == []
    kept = await services.store.member("n1")
    assert kept is not None
    assert kept.figures.connections == 7
    assert await pass_time(services, clock, 1) == ["n1", "n2"]


async def test_a_lost_node_must_register_again(services: Services, clock: Clock) -> None:
    """A heartbeat after the lease ran out is refused; registering brings the node back to its slot."""
    await services.membership.register(wanted("n0"))
    lease = await services.membership.register(wanted())
    await pass_time(services, clock, 21)
    with pytest.raises(Refusal) as refused:
        await services.membership.heartbeat("n1", Heartbeat(run="n1~run1"))
    assert (refused.value.status, refused.value.code) == (404, "unknown_node")
    assert (await services.membership.register(wanted())).slot == lease.slot == 2


async def test_goodbye_keeps_the_slot(services: Services) -> None:
    """A node that leaves is out of config and slots at once, and its slot stays its own."""
    await services.membership.register(wanted("n1"))
    await services.membership.leave("n1", "n1~run1")
    assert nodes_of(services) == []
    assert (await services.membership.register(wanted("n2"))).slot == 2
    assert (await services.membership.register(wanted("n1", "n1~run2"))).slot == 1


async def test_goodbye_of_an_old_run_changes_nothing(services: Services) -> None:
    """A process that was replaced cannot take its successor out."""
    await services.membership.register(wanted("n1"))
    with pytest.raises(Refusal) as refused:
        await services.membership.leave("n1", "n1~old")
    assert refused.value.code == "other_run"
    assert nodes_of(services) == ["n1"]


async def test_an_administrator_frees_a_slot(services: Services) -> None:
    """Removing a node frees its slot for the next one."""
    await services.membership.register(wanted("n1"))
    await services.membership.remove("ops", "n1")
    assert (await services.membership.register(wanted("n2"))).slot == 1


async def test_draining_by_heartbeat_and_by_hand(services: Services) -> None:
    """A node is draining when it says so or an administrator does; each change is a new generation, once."""
    await services.membership.register(wanted())
    seen = [services.published.generation]

    def state() -> str:
        seen.append(services.published.generation)
        return msgspec.json.decode(services.published.slots, type=Slots).slots[0].state

    await services.membership.heartbeat("n1", Heartbeat(run="n1~run1", state="draining"))
    assert state() == "draining"
    await services.membership.heartbeat("n1", Heartbeat(run="n1~run1", state="ready"))
    assert state() == "ready"
    await services.membership.drain("ops", "n1", True)
    assert state() == "draining"
    await services.membership.drain("ops", "n1", True)
    assert state() == "draining"
    await services.membership.drain("ops", "n1", False)
    assert state() == "ready"
    assert [after - before for before, after in pairwise(seen)] == [1, 1, 1, 0, 1]


async def test_the_database_refuses_a_duplicate_slot(services: Services) -> None:
    """Whatever the code does, two rows with one slot cannot be."""
    await services.membership.register(wanted("n1"))
    held = await services.membership.one("n1")
    with pytest.raises(Duplicate):
        async with services.store.changing():
            await services.store.save_member(msgspec.structs.replace(held, id="n2"))
    assert [member.id for member in await services.store.members()] == ["n1"]


async def test_registrations_at_once_get_slots_of_their_own(services: Services) -> None:
    """Nodes that register at the same moment get different slots."""
    leases = await asyncio.gather(*(services.membership.register(wanted(f"n{number}")) for number in range(3)))
    assert sorted(lease.slot for lease in leases) == [1, 2, 3]


async def test_the_generation_is_never_behind_the_time(services: Services, clock: Clock) -> None:
    """A change makes the generation the Unix time, or one more than before when that is later."""
    clock.now += 1000
    assert (await services.membership.register(wanted("n1"))).generation == int(clock.now)
    assert (await services.membership.register(wanted("n2"))).generation == int(clock.now) + 1
    clock.now -= 500
    assert (await services.membership.register(wanted("n3"))).generation == int(clock.now) + 502


async def test_an_idle_registration_is_no_change(services: Services) -> None:
    """A node that registers again with nothing new leaves the generation alone."""
    first = await services.membership.register(wanted())
    assert await services.membership.register(wanted()) == first
    assert (await services.membership.register(wanted(weight=50))).generation == first.generation + 1

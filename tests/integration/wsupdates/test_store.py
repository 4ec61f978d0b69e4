from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.support.registry import wanted
from wsmesh.contract import App, AppLimits, ChannelRule, Figures
from wsupdates import app as registry
from wsupdates.domain import members
from wsupdates.domain.audit import Entry
from wsupdates.domain.keys import ApiKey
from wsupdates.domain.members import Member
from wsupdates.settings import RegistrySettings
from wsupdates.usecases.store import Duplicate, Store
from wsupdates.web.services import Services


@pytest.fixture
async def services(database: dict[str, str]) -> AsyncIterator[Services]:
    """The use cases on a fresh database of each kind."""
    settings = RegistrySettings.load(database)
    async with registry.opened(settings) as found:
        await registry.ensure_migrated(found, apply=True)
        yield registry.compose(settings, found)


@pytest.fixture
def store(services: Services) -> Store:
    """Its store."""
    return services.store


def member(node: str = "n1", slot: int = 1) -> Member:
    claim = members.claim([], wanted(node), slots=9, now=1000.5)
    return msgspec.structs.replace(claim.member, slot=slot, figures=Figures(connections=3))


APP = App(
    id="shop",
    key="shopkey",
    secret="s" * 32,
    name="Läden ☂",
    allowed_origins=["https://a.example"],
    publish_keys=["ab" * 32],
    limits=AppLimits(max_connections=5),
    rules=[ChannelRule(pattern="news-*", history_bytes=2**34, cache=True)],
)


async def test_members(store: Store) -> None:
    """A member is kept as it was, changed in place, ordered by slot, and forgotten."""
    assert await store.member("n1") is None
    await store.save_member(member("n2", 2))
    await store.save_member(member())
    assert await store.members() == [member(), member("n2", 2)]
    gone = members.gone(member(), "lost", 2000.25)
    await store.save_member(gone)
    assert await store.member("n1") == gone
    await store.remove_member("n1")
    assert await store.members() == [member("n2", 2)]


async def test_a_slot_is_held_once(store: Store) -> None:
    """The database refuses a second member with a slot, and keeps the first."""
    await store.save_member(member())
    with pytest.raises(Duplicate):
        async with store.changing():
            await store.save_member(member("n2", 1))
    assert await store.members() == [member()]


async def test_heartbeats(store: Store) -> None:
    """Heartbeats change the time and figures of the same live run alone, and never go back in time."""
    await store.save_member(member())
    await store.save_member(members.gone(member("n2", 2), "lost", 1.0))
    later = msgspec.structs.replace(member(), seen_at=2000.0, figures=Figures(connections=9), weight=7)
    other_run = msgspec.structs.replace(later, run="n1~other", seen_at=3000.0)
    unknown = msgspec.structs.replace(later, id="n9")
    lost = msgspec.structs.replace(later, id="n2", run="n2~run1")
    await store.save_heartbeats([later, other_run, unknown, lost])
    await store.save_heartbeats([member()])
    assert await store.members() == [
        msgspec.structs.replace(member(), seen_at=2000.0, figures=Figures(connections=9)),
        members.gone(member("n2", 2), "lost", 1.0),
    ]


async def test_apps(store: Store) -> None:
    """An app is kept with all that belongs to it, found by id, listed in pages, changed and forgotten."""
    await store.add_app(APP)
    await store.add_app(App(id="alpha", key="a", secret="x"))
    assert await store.app("shop") == APP
    assert [app.id for app in await store.apps()] == ["alpha", "shop"]
    assert [app.id for app in await store.apps(limit=1)] == ["alpha"]
    assert [app.id for app in await store.apps(after="alpha")] == ["shop"]
    changed = msgspec.structs.replace(APP, enabled=False, rules=[])
    await store.save_app(changed)
    assert await store.app("shop") == changed
    await store.remove_app("shop")
    assert await store.app("shop") is None


@pytest.mark.parametrize("other", [App(id="shop", key="other", secret="x"), App(id="other", key="shopkey", secret="x")])
async def test_apps_are_unique(store: Store, other: App) -> None:
    """A second app with the id or the key of another is refused."""
    await store.add_app(APP)
    with pytest.raises(Duplicate):
        async with store.changing():
            await store.add_app(other)
    assert await store.apps() == [APP]


async def test_keys(store: Store) -> None:
    """A key is found by its digest alone, listed, and forgotten."""
    key = ApiKey(id="k1", name="ops", role="admin", created_at=1000.5, expires_at=2000.25)
    await store.add_key(key, "d1")
    assert await store.key("d1") == key
    assert await store.key("d2") is None
    with pytest.raises(Duplicate):
        await store.add_key(ApiKey(id="k2", name="x", role="node", created_at=1), "d1")
    assert await store.keys() == [key]
    await store.remove_key("k1")
    assert await store.key("d1") is None


async def test_audit(store: Store) -> None:
    """Entries come newest first, with ids that grow."""
    for number in range(3):
        await store.record(Entry(at=1000.5, key="ops", action=f"a{number}", object="x", before=None, after={"n": [1]}))
    entries = await store.audit(None, 10)
    assert [entry.action for entry in entries] == ["a2", "a1", "a0"]
    assert (entries[0].before, entries[0].after, entries[0].at) == (None, {"n": [1]}, 1000.5)
    assert await store.audit(entries[1].id, 10) == entries[2:]
    assert await store.audit(None, 1) == entries[:1]


async def test_a_failed_change_leaves_nothing(store: Store) -> None:
    """All of a transaction happens, or nothing."""
    await store.set_generation(5)
    with pytest.raises(RuntimeError):
        async with store.changing():
            await store.set_generation(6)
            await store.add_app(APP)
            raise RuntimeError
    assert (await store.generation(), await store.apps()) == (5, [])


async def test_changes_come_one_after_the_other(store: Store) -> None:
    """Transactions at once each see what the one before did."""
    await store.set_generation(0)

    async def grow() -> None:
        async with store.changing():
            seen = await store.generation()
            await asyncio.sleep(0)
            await store.set_generation(seen + 1)

    await asyncio.gather(*(grow() for _ in range(20)))
    assert await store.generation() == 20


async def test_registrations_at_once(services: Services) -> None:
    """Nodes that register at the same moment all get slots of their own, as few as there are nodes."""
    leases = await asyncio.gather(*(services.membership.register(wanted(f"n{number}")) for number in range(20)))
    assert sorted(lease.slot for lease in leases) == list(range(1, 21))

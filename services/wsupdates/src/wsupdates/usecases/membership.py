"""Nodes come, say that they live, drain and go."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from wsmesh.contract import Heartbeat, Lease, Registration
from wsupdates.domain import members
from wsupdates.domain.members import Member
from wsupdates.domain.refusals import Refusal
from wsupdates.usecases.administration import Administration
from wsupdates.usecases.published import Published
from wsupdates.usecases.store import Store, StoreUnavailable

SWEEP_SECONDS = 1.0
"""How often `sweep` is to be called."""


class Membership:
    """All that concerns leases. Heartbeats are kept here and written by `sweep`.

    No lease runs out before one lease time has passed in which this registry and its database worked: at the start,
    after a database that did not answer, and after a pause of the process, every member has a fresh lease.
    """

    def __init__(
        self,
        store: Store,
        published: Published,
        administration: Administration,
        clock: Callable[[], float],
        *,
        lease: float,
        slots: int,
    ) -> None:
        self._store = store
        self._published = published
        self._administration = administration
        self._clock = clock
        self._lease = lease
        self._slots = slots
        self._pending: dict[str, Member] = {}
        self._swept_at = clock()
        self._lenient_until = clock() + lease

    async def register(self, wanted: Registration) -> Lease:
        """Give the node its lease and its slot."""
        _check_port(wanted.client_address, "client_address")
        async with self._store.changing():
            present = {member.id: member for member in await self._store.members()}
            claim = members.claim(present.values(), wanted, slots=self._slots, now=self._clock())
            if claim.evicted is not None:
                await self._store.remove_member(claim.evicted)
            await self._store.save_member(claim.member)
            before = present.get(wanted.id)
            if claim.evicted is not None or not members.same_to_others(before, claim.member):
                await self._published.bump()
        self._pending.pop(wanted.id, None)
        await self._published.refresh()
        return self._lease_of(claim.member)

    async def heartbeat(self, node_id: str, beat: Heartbeat) -> Lease:
        """Renew the lease."""
        member = self._pending.get(node_id) or self._published.members.get(node_id)
        if member is None or not member.live or member.run != beat.run:
            member = await self._known(node_id)
        renewed = members.renew(member, beat.run, beat.state, beat.figures, self._clock())
        if renewed.state != member.state:
            renewed = await self._change_state(node_id, beat)
        self._pending[node_id] = renewed
        return self._lease_of(renewed)

    async def leave(self, node_id: str, run: str) -> None:
        """The node says goodbye; its slot stays its own."""
        async with self._store.changing():
            member = await self._known(node_id)
            if member.run != run:
                raise Refusal(409, "other_run", f"node {node_id} was registered by another run", "run")
            if member.live:
                await self._store.save_member(members.gone(member, "left", self._clock()))
                await self._published.bump()
        self._pending.pop(node_id, None)
        await self._published.refresh()

    async def remove(self, key_name: str, node_id: str) -> None:
        """An administrator takes the node out and frees its slot."""
        async with self._store.changing():
            member = await self._known(node_id)
            await self._store.remove_member(node_id)
            await self._published.bump()
            before = msgspec.to_builtins(member.node())
            await self._administration.record(key_name, "node.delete", f"node:{node_id}", before, None)
        self._pending.pop(node_id, None)
        await self._published.refresh()

    async def drain(self, key_name: str, node_id: str, drained: bool) -> Member:
        """An administrator asks for the node's drain, or takes that back. It holds until it is taken back."""
        async with self._store.changing():
            before = await self._known(node_id)
            after = msgspec.structs.replace(before, drained=drained)
            if after != before:
                await self._store.save_member(after)
                await self._published.bump()
                action = "node.drain" if drained else "node.undrain"
                states = ({"state": one.node().state, "drained": one.drained} for one in (before, after))
                await self._administration.record(key_name, action, f"node:{node_id}", *states)
        self._pending.pop(node_id, None)
        await self._published.refresh()
        return self._latest(after)

    async def list_members(self) -> list[Member]:
        """All members by slot, with their latest heartbeat."""
        return [self._latest(member) for member in await self._store.members()]

    async def one(self, node_id: str) -> Member:
        """One member with its latest heartbeat."""
        return self._latest(await self._known(node_id))

    def lease_left(self, member: Member) -> float:
        """Seconds until its lease runs out; 0 when it has none."""
        if not member.live:
            return 0.0
        return max(0.0, max(member.seen_at + self._lease, self._lenient_until) - self._clock())

    async def sweep(self) -> list[Member]:
        """Write the heartbeats, then mark as lost whose lease ran out; returns those."""
        now = self._clock()
        if now - self._swept_at > max(self._lease / 2, 2 * SWEEP_SECONDS):
            self._lenient_until = now + self._lease  # we slept; that says nothing about the nodes
        self._swept_at = now
        try:
            return await self._sweep(now)
        except StoreUnavailable:
            self._lenient_until = now + self._lease
            raise

    async def _sweep(self, now: float) -> list[Member]:
        waiting, self._pending = self._pending, {}
        try:
            if waiting:
                await self._store.save_heartbeats(waiting.values())
        except StoreUnavailable:
            self._pending = waiting | self._pending
            raise
        await self._published.refresh()
        self._remember(waiting)
        if now < self._lenient_until or not members.overdue(await self._store.members(), lease=self._lease, now=now):
            return []
        async with self._store.changing():
            present = [self._latest(member) for member in await self._store.members()]
            lost = members.overdue(present, lease=self._lease, now=now)
            for member in lost:
                await self._store.save_member(members.gone(member, "lost", now))
            if lost:
                await self._published.bump()
        await self._published.refresh()
        return lost

    async def _change_state(self, node_id: str, beat: Heartbeat) -> Member:
        async with self._store.changing():
            member = await self._known(node_id)
            renewed = members.renew(member, beat.run, beat.state, beat.figures, self._clock())
            await self._store.save_member(renewed)
            if not members.same_to_others(member, renewed):
                await self._published.bump()
        await self._published.refresh()
        return renewed

    async def _known(self, node_id: str) -> Member:
        member = await self._store.member(node_id)
        if member is None:
            raise members.unknown(node_id)
        return member

    def _latest(self, member: Member) -> Member:
        """With a heartbeat that is not written yet."""
        beat = self._pending.get(member.id)
        if beat is None or beat.run != member.run or not member.live:
            return member
        return msgspec.structs.replace(member, seen_at=max(member.seen_at, beat.seen_at), figures=beat.figures)

    def _remember(self, written: dict[str, Member]) -> None:
        """Let the next heartbeat start from the last one, not from what the database held a generation ago."""
        for node_id, beat in written.items():
            known = self._published.members.get(node_id)
            if known is not None and known.live and known.run == beat.run:
                self._published.members[node_id] = msgspec.structs.replace(
                    known, seen_at=max(known.seen_at, beat.seen_at), figures=beat.figures
                )

    def _lease_of(self, member: Member) -> Lease:
        return Lease(slot=member.slot, lease_seconds=self._lease, generation=self._published.generation)


def _check_port(address: str, field: str) -> None:
    if not 1 <= int(address.rpartition(":")[2]) <= 65_535:
        raise Refusal(422, "schema", f"{address} has no port from 1 to 65535", field)

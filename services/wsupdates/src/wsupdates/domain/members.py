"""Members of the cluster: who may take a lease, when it runs out, and which slot they hold."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from wsmesh.contract import Figures, Node, NodeState, Registration, Slot
from wsupdates.domain.refusals import Refusal

LIVE: tuple[NodeState, ...] = ("ready", "draining")


class Member(Struct, frozen=True, kw_only=True):
    """A node as the registry keeps it. Times are Unix seconds."""

    id: str
    run: str
    slot: int
    location: str
    client_address: str
    mesh_address: str
    version: str = ""
    weight: int = 100
    state: NodeState = "ready"
    """What the node says of itself, or what became of its lease."""
    drained: bool = False
    """Whether an administrator asked for its drain."""
    registered_at: float
    seen_at: float
    gone_at: float | None = None
    figures: Figures = Figures()

    @property
    def live(self) -> bool:
        """Whether it holds a lease."""
        return self.state in LIVE

    def node(self) -> Node:
        """As nodes and administrators see it."""
        return Node(
            id=self.id,
            run=self.run,
            slot=self.slot,
            location=self.location,
            client_address=self.client_address,
            mesh_address=self.mesh_address,
            version=self.version,
            weight=self.weight,
            state="draining" if self.live and self.drained else self.state,
        )

    def in_slot(self) -> Slot:
        """As balancers see it; an IPv6 host has no brackets here."""
        host, _, port = self.client_address.rpartition(":")
        return Slot(
            slot=self.slot,
            node=self.id,
            location=self.location,
            host=host.strip("[]"),
            port=int(port),
            weight=self.weight,
            state="draining" if self.drained or self.state == "draining" else "ready",
        )


class Claim(Struct, frozen=True):
    """The outcome of a registration."""

    member: Member
    evicted: str | None = None
    """The id of the node, gone for the longest, that lost its slot to this one."""


def claim(members: Iterable[Member], wanted: Registration, *, slots: int, now: float) -> Claim:
    """Give the node its lease. Raises Refusal when another live process holds the id, or no slot is left."""
    present = {member.id: member for member in members}
    known = present.get(wanted.id)
    if known is not None:
        if known.live and known.run not in (wanted.run, wanted.previous_run):
            raise Refusal(
                409,
                "node_id_in_use",
                f"node {wanted.id} is held by run {known.run}; give this node another id, or stop that one",
                "id",
            )
        if known.slot <= slots:
            return Claim(_member(wanted, known.slot, drained=known.drained, now=now))
        del present[wanted.id]  # SLOTS was lowered: its slot is no longer in the balancers' configuration
    slot, evicted = _free_slot(present.values(), slots)
    return Claim(_member(wanted, slot, drained=known is not None and known.drained, now=now), evicted)


def renew(member: Member, run: str, state: NodeState, figures: Figures, now: float) -> Member:
    """The member after a heartbeat. Raises Refusal when it must register again."""
    if not member.live:
        raise unknown(member.id)
    if member.run != run:
        raise Refusal(409, "other_run", f"node {member.id} was registered by another run; register again", "run")
    return msgspec.structs.replace(member, state=state, figures=figures, seen_at=max(now, member.seen_at))


def gone(member: Member, state: NodeState, now: float) -> Member:
    """The member after its lease ran out (`lost`) or it said goodbye (`left`)."""
    return msgspec.structs.replace(member, state=state, gone_at=now)


def overdue(members: Iterable[Member], *, lease: float, now: float) -> list[Member]:
    """The members whose lease of `lease` seconds ran out."""
    return [member for member in members if member.live and member.seen_at + lease <= now]


def same_to_others(before: Member | None, after: Member) -> bool:
    """Whether nobody else can tell the two apart, so that the generation stays."""
    return before is not None and before.node() == after.node()


def unknown(node_id: str) -> Refusal:
    """No such node, or one without a lease."""
    return Refusal(404, "unknown_node", f"no node {node_id} is registered", "id")


def _member(wanted: Registration, slot: int, *, drained: bool, now: float) -> Member:
    return Member(
        id=wanted.id,
        run=wanted.run,
        slot=slot,
        location=wanted.location,
        client_address=wanted.client_address,
        mesh_address=wanted.mesh_address,
        version=wanted.version,
        weight=wanted.weight,
        drained=drained,
        registered_at=now,
        seen_at=now,
    )


def _free_slot(members: Iterable[Member], slots: int) -> tuple[int, str | None]:
    """The lowest free slot, else that of the member gone for the longest."""
    holders = {member.slot: member for member in members}
    for slot in range(1, slots + 1):
        if slot not in holders:
            return slot, None
    away = [member for member in holders.values() if not member.live and member.slot <= slots]
    if not away:
        raise Refusal(409, "no_free_slot", f"all {slots} slots hold live nodes; raise SLOTS or remove a node", "id")
    longest = min(away, key=lambda member: (member.gone_at or 0.0, member.slot))
    return longest.slot, longest.id

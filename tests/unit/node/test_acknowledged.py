"""Acknowledgements of messages that another node accepted, over real HTTP: what a retry at this node waits for."""

from __future__ import annotations

import pytest

from tests.support.mesh_ends import End, mesh_end
from tests.support.mesh_network import event
from tests.support.waiting import until
from wsnode.publishing import InsufficientAcks


async def met(*ends: End) -> None:
    """Let all know each other, and wait until they do."""
    for end in ends:
        end.know(*ends)
    await until(lambda: all(len(end.service.mesh.up()) == len(ends) - 1 for end in ends))


async def test_a_message_of_another_node_is_held_by_those_that_say_so() -> None:
    """Its own node and every other one that has it count; this node itself does not."""
    async with mesh_end("a", heartbeat=0.1) as a, mesh_end("b", heartbeat=0.1) as b, mesh_end("c", heartbeat=0.1) as c:
        await met(a, b, c)
        first = await a.service.publish(event("1"), "all")
        again = await b.service.acknowledged(a.service.mesh.stream, 1, "all")
        assert (again.id, sorted(again.acknowledged_by)) == (first.id, ["a", "c"])


async def test_a_message_that_nobody_else_has_is_not_acknowledged() -> None:
    """Beyond what others say that they hold, a wait ends as for an own message."""
    async with mesh_end("a", heartbeat=0.1) as a, mesh_end("b", heartbeat=0.1) as b:
        await met(a, b)
        with pytest.raises(InsufficientAcks) as caught:
            await b.service.acknowledged(a.service.mesh.stream, 7, 1)
        assert (caught.value.id, caught.value.acknowledged_by) == (f"{a.service.mesh.stream}:7", [])

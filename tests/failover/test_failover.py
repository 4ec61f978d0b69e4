"""Real failures of real containers: no acknowledged message is lost, doubled or out of order for any client."""

from __future__ import annotations

import pytest

from tests.failover.cluster import Cluster
from tests.failover.forms import Form
from tests.failover.results import Result
from tests.failover.run import Run
from tests.failover.scenarios import SCENARIOS, Scenario


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_nothing_acknowledged_is_lost(
    scenario: Scenario, cluster: Cluster, form: Form, results: list[Result]
) -> None:
    """Every client has each acknowledged message of its channel once, each stream in order, and all came back whole."""
    try:
        result = await Run(cluster, form, scenario).go()
    finally:
        await cluster.repair()
    results.append(result)
    assert result.published
    assert result.proofs
    assert not result.wrong
    assert (result.lost, result.duplicated, result.disordered, result.unrecovered) == (0, 0, 0, 0)
    assert not result.unacknowledged

"""A running cluster for each test."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.haproxysync.cluster import Cluster, Node


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="hs-") as path:
        yield Path(path)


@pytest.fixture
async def empty(folder: Path) -> AsyncIterator[Cluster]:
    """A registry without nodes; HAProxy is not started."""
    cluster = Cluster(folder)
    try:
        await cluster.registry.start()
        yield cluster
    finally:
        await cluster.close()


@pytest.fixture
async def cluster(empty: Cluster) -> Cluster:
    """Two nodes here and one elsewhere, synchronised, HAProxy running and all nodes up."""
    await empty.add(Node("n1", 1), Node("n2", 2), Node("n3", 3, location="there"))
    assert (await empty.sync()).code == 0
    await empty.start_haproxy()
    return empty

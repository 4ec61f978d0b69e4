"""Clusters of real processes for tests: free ports, a folder of the test's own, and nothing left at the end."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pusher  # type: ignore[import-untyped]

from tests.support.waiting import until, until_async
from wsmesh import tls
from wsmesh.client import Publisher, PublishRefused
from wsmesh_demo.cluster import Cluster
from wsmesh_demo.plan import Plan
from wsmesh_demo.ports import FreePorts
from wsmesh_demo.publisher import client

PATIENT = {"ACK_TIMEOUT": "20"}
"""Settings of nodes where every publish must be acknowledged: a busy machine is no failure."""


@asynccontextmanager
async def running_cluster(folder: Path, *, nodes: int = 3, **plan: Any) -> AsyncIterator[Cluster]:
    """A cluster with every node taking clients; `plan` is what else `Plan` takes."""
    free = FreePorts(nodes)
    try:
        async with Cluster(Plan(folder=folder, ports=free.ports, nodes=nodes, **plan)) as cluster:
            yield cluster
    finally:
        free.close()


def official_client(cluster: Cluster, **options: Any) -> pusher.Pusher:
    """Pusher's own Python library, set up for the cluster behind HAProxy; it blocks, so call it in a thread."""
    return client(cluster.url, cluster.certificates.ca, cluster.app, **options)


def trust(cluster: Cluster) -> ssl.SSLContext:
    """A TLS context that trusts HAProxy's certificate."""
    return tls.client_context(cluster.certificates.ca)


async def settle(cluster: Cluster) -> None:
    """Publish at each node until all others hold it: then all know what each has said before, however slow they are."""
    app, alive = cluster.app, [node for node in cluster.nodes if node.process.alive]
    for node in alive:
        async with Publisher(node.client_url, app.id, publish_key=app.publish_key, timeout=60) as publisher:
            await until_async(partial(_acknowledged, publisher, len(alive) - 1), 60)


async def _acknowledged(publisher: Publisher, acks: int) -> bool:
    try:
        await publisher.publish(["settled"], "mark", "", acks=acks)
    except PublishRefused as refused:
        if refused.code != "insufficient_acks":
            raise
        return False
    return True


async def set_rule(cluster: Cluster, pattern: str, **fields: Any) -> None:
    """Make or change a rule of the cluster's app, and wait until every node that runs knows it."""
    async with cluster.registry.client() as registry:
        await registry.set_rule(cluster.app.id, pattern, fields)
        generation = await registry.generation()

    def known() -> bool:
        logs = [node.process.log.read_text() for node in cluster.nodes if node.process.alive]
        return all(max(map(int, re.findall(r" generation=(\d+)", log)), default=0) >= generation for log in logs)

    await until(known, 30)

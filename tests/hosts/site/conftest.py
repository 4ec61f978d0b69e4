"""These tests need the site that `molecule converge -s site` deploys; molecule/site/verify.yml runs them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hosts.site.site import BALANCERS, BETWEEN, NODES, REGISTRY, Site, address, all_serving
from wsmesh_demo.registry import App

SECRETS = os.environ.get("WSMESH_SECRETS", "")

if not SECRETS:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
async def nodes() -> set[str]:
    """`address:port` of the nodes that the inventory has."""
    return {f"{await address(host, BETWEEN)}:7001" for host in NODES}


@pytest.fixture
async def site(nodes: set[str]) -> AsyncIterator[Site]:
    """The site, with an app of the test's own, when all nodes serve."""
    addresses = {host: await address(host, f"wsmesh-{location}") for location, host in BALANCERS.items()}
    registry = f"https://{await address(REGISTRY, BETWEEN)}:8000"
    found = Site(Path(SECRETS), App(id="", key="", secret="", publish_key=""), addresses, registry)
    made = await found.ask("apps", "POST", {"name": "test"})
    found.app = App(id=made["id"], key=made["key"], secret=made["secret"], publish_key="")
    await all_serving(nodes)
    await found.app_is_known(nodes)
    yield found
    await found.ask(f"apps/{made['id']}", "DELETE")

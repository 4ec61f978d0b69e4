"""Where the parts of a demo are: ports, locations, and the files of others."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

import wsmesh_demo
from wsmesh_demo.errors import DemoError
from wsmesh_demo.plan import Plan
from wsmesh_demo.ports import BLOCK, MAX_NODES, Ports

STATIC = Path(wsmesh_demo.__file__).parent / "static"


def test_ports_fit_their_block() -> None:
    """The largest cluster has all its ports, each once, in the hundred that starts at PORT."""
    used = [port for _, _, port in Ports.laid_out(20_000).used_by(MAX_NODES)]
    assert len(set(used)) == len(used)
    assert min(used) == 20_000
    assert max(used) < 20_000 + BLOCK


def test_moved_port() -> None:
    """A port that is moved moves alone."""
    ports = Ports.laid_out(20_000, {"mesh_port": 30_000})
    assert (ports.mesh(2), ports.client(2), ports.port) == (30_001, 20_012, 20_000)


@pytest.mark.parametrize(
    ("ports", "nodes", "text"),
    [
        (Ports.laid_out(65_535), 1, "port 65536 for the registry does not exist; move it with REGISTRY_PORT=…"),
        (Ports.laid_out(0), 1, "port 0 for HAProxy does not exist; move it with PORT=…"),
        (
            Ports.laid_out(20_000, {"page_port": 20_000}),
            1,
            "port 20000 is meant for HAProxy and for the page's back end; move one with PAGE_PORT=…",
        ),
        (Ports.laid_out(20_000), 0, "NODES: found 0, expected a number from 1 to 40"),
        (Ports.laid_out(20_000), 41, "NODES: found 41, expected a number from 1 to 40"),
    ],
)
def test_impossible_ports(ports: Ports, nodes: int, text: str) -> None:
    """Ports that do not exist or are wanted twice, and too few or many nodes, are named with what to change."""
    with pytest.raises(DemoError, match=re.escape(text)):
        ports.check(nodes)


@pytest.mark.parametrize(
    ("nodes", "east"), [(1, [1]), (2, [1]), (3, [1, 2]), (4, [1, 2]), (5, [1, 2, 3]), (40, list(range(1, 21)))]
)
def test_locations(nodes: int, east: list[int]) -> None:
    """The first half of the nodes, or one more, is in HAProxy's location."""
    plan = Plan(folder=Path("unused"), ports=Ports.laid_out(20_000), nodes=nodes)
    assert [number for number in range(1, nodes + 1) if plan.location_of(number) == "east"] == east


def test_pusher_js_is_unmodified() -> None:
    """The pusher-js that the page ships is, byte for byte, the one that VENDORED.md names."""
    found = hashlib.sha256((STATIC / "pusher.min.js").read_bytes()).hexdigest()
    assert f"`{found}`" in (STATIC / "VENDORED.md").read_text()

"""What the mesh promises of its size (docs/scale.md)."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.simulation.scale import HEARTBEAT, PAGE, PICTURE, SIZES, cluster, convergence, measure, page, picture


def test_a_hundred_nodes_converge_within_three_heartbeats() -> None:
    """After a partition in halves has healed, all of a hundred nodes have what each of them published meanwhile."""
    assert convergence(cluster(100), split_seconds=2.0) <= 3 * HEARTBEAT


@pytest.mark.parametrize("nodes", [3, 10])
def test_a_message_takes_one_request_to_each_other_node(nodes: int) -> None:
    """Nobody forwards a message by push, and nobody gets it twice, however many nodes there are."""
    figures = measure(nodes, messages=3, idle_seconds=2.0)
    assert figures.message.requests == nodes - 1
    assert figures.idle.requests == nodes * (nodes - 1)
    assert figures.convergence <= 3 * HEARTBEAT


def test_the_page_and_its_plot_are_made_of_the_same_figures() -> None:
    """The page has a row for each size, and is what the command would write of such figures; the plot is good XML."""
    rows = [measure(nodes, messages=2, idle_seconds=1.0, split_seconds=1.0) for nodes in (3, 5)]
    assert "| 5 | " in page(rows)
    assert len(ElementTree.fromstring(picture(rows)).findall("{http://www.w3.org/2000/svg}polyline")) == 2
    text = PAGE.read_text()
    assert all(f"\n| {nodes} | " in text for nodes in SIZES)
    assert PICTURE.read_text().startswith("<svg")

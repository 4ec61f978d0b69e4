"""What a full mesh costs as it grows: `python -m tests.simulation.scale` writes docs/scale.md and its plot."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec

from tests.simulation.plot import Line, plot
from tests.simulation.world import World
from wsnode.domain.effects import Request
from wsnode.domain.messages import Event
from wsnode.domain.wire import Push

SIZES = (3, 10, 30, 100)
HEARTBEAT = 1.0
ROUND_TRIP = 0.01
"""Seconds, at most: the nodes are in one location."""
DATA = "x" * 200
"""What a message carries."""
HTTP_BYTES = 400
"""About what the heads of a request and its answer add on a connection that stays open."""

PAGE = Path(__file__).parents[2] / "docs/scale.md"
PICTURE = PAGE.parent / "pictures/scale.svg"


@dataclass
class Tally:
    """Requests with their answers."""

    requests: int = 0
    size: int = 0
    """Bytes."""

    def add(self, *raws: bytes) -> None:
        """Count a request and its answer."""
        self.requests += 1
        self.size += HTTP_BYTES + sum(map(len, raws))


@dataclass
class Figures:
    """What was measured with so many nodes."""

    nodes: int
    idle: Tally = field(default_factory=Tally)
    """Of all nodes in a second in which nothing is published."""
    message: Tally = field(default_factory=Tally)
    """Of one message, until all nodes have it."""
    crossing: float = 0.0
    """Seconds until the last node has a message."""
    convergence: float = 0.0
    """Seconds from the end of a partition until all nodes have all messages."""
    position: int = 0
    """Bytes of a position as it travels."""


def measure(nodes: int, *, messages: int = 10, idle_seconds: float = 3.0, split_seconds: float = 4.0) -> Figures:
    """Measure a mesh of so many nodes."""
    world, figures = cluster(nodes), Figures(nodes)
    if idle_seconds:
        figures.idle = _idle(world, idle_seconds)
    if messages:
        figures.message, figures.crossing = _messages(world, messages)
    figures.convergence = convergence(world, split_seconds)
    figures.position = len(msgspec.msgpack.encode(next(iter(world.nodes.values())).mesh.position()))
    return figures


def cluster(nodes: int) -> World:
    """So many nodes that all hear each other."""
    names = [f"node{number}" for number in range(nodes)]
    world = World(nodes, names, clients=0, heartbeat=HEARTBEAT, in_flight=1, batch_bytes=262_144)
    world.network.slowness = ROUND_TRIP / 2
    _until(world, lambda: all(node.ready and len(node.mesh.up()) == nodes - 1 for node in world.nodes.values()))
    return world


def convergence(world: World, split_seconds: float) -> float:
    """Split the nodes in halves, publish at all of them, and see how long it takes all to have all when that ends."""
    some = set(world.names[: len(world.names) // 2])
    there = {(one, other) for one in some for other in world.names if other not in some}
    world.network.cut = there | {(other, one) for one, other in there}
    world.run(split_seconds / 2)
    for name in world.names:
        _publish(world, name)
    world.run(split_seconds / 2)
    world.network.cut = set()
    return _until(world, lambda: _agree(world), step=0.05)


def _idle(world: World, seconds: float) -> Tally:
    tally = Tally()
    world.network.weigh = lambda _, *raws: tally.add(*raws)
    world.run(seconds)
    world.network.weigh = None
    return Tally(round(tally.requests / seconds), round(tally.size / seconds))


def _messages(world: World, number: int) -> tuple[Tally, float]:
    tally, draw, crossings = Tally(), Random(1), []

    def weigh(request: Request, *raws: bytes) -> None:
        if not isinstance(request.body, Push) or request.body.messages:
            tally.add(*raws)

    world.network.weigh = weigh
    for _ in range(number):
        _publish(world, draw.choice(world.names))
        crossings.append(_until(world, lambda: _agree(world), step=0.002))
    world.run(0.1)
    world.network.weigh = None
    return Tally(round(tally.requests / number), round(tally.size / number)), sum(crossings) / number


def _publish(world: World, name: str) -> None:
    world.model.publishes(number := len(world.model.begun), ["long"], 0)
    world.nodes[name].append(Event(app="a", channels=["long"], name="n", data=f"{number:0{len(DATA)}}"))


def _agree(world: World) -> bool:
    whole = {node.stream: node.mesh.log.last for node in world.nodes.values()}
    return all(node.mesh.position() == whole for node in world.nodes.values())


def _until(world: World, condition: object, step: float = 0.1) -> float:
    began = world.clock.now
    while not condition():  # type: ignore[operator]
        if world.clock.now - began > 60:
            raise TimeoutError("the mesh never comes to rest")
        world.run(step)
    return world.clock.now - began


# --- the page


def page(rows: list[Figures]) -> str:
    """docs/scale.md."""
    text = PAGE.read_text()
    head, _, rest = text.partition("<!-- figures -->\n")
    _, _, tail = rest.partition("<!-- end -->\n")
    lines = [
        "| nodes | idle: requests/s of a node | idle: kB/s of a node | a message: requests | a message: kB in all | "
        "a message: ms to the last node | after a partition: s until all have all | a position: bytes | "
        "between two halves: idle Mbit/s | between two halves: a message, kB |",
        "| --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for row in rows:
        of_node = row.idle.size / row.nodes / 1000
        half = row.nodes // 2
        crossing = 2 * half * (row.nodes - half) / (row.nodes * (row.nodes - 1))  # of all pairs
        idle_between, message_between = (
            row.idle.size * crossing * 8 / 1e6,
            row.message.size / row.message.requests * half,
        )
        lines.append(
            f"| {row.nodes} | {row.idle.requests / row.nodes:.0f} | {of_node:.1f} | {row.message.requests} | "
            f"{row.message.size / 1000:.1f} | {row.crossing * 1000:.0f} | {row.convergence:.2f} | {row.position} | "
            f"{idle_between:.2f} | {message_between / 1000:.1f} |"
        )
    return head + "<!-- figures -->\n" + "\n".join(lines) + "\n<!-- end -->\n" + tail


def picture(rows: list[Figures]) -> str:
    """The plot, an SVG."""
    idle = [(row.nodes, row.idle.size / row.nodes) for row in rows]
    message = [(row.nodes, row.message.size) for row in rows]
    return plot(
        "What a full mesh costs as it grows",
        "nodes",
        "bytes",
        [Line("a second of a node that idles", idle, "#2563eb"), Line("a message, in all", message, "#dc2626")],
    )


def main() -> int:
    """Measure, and write the page."""
    rows = []
    for nodes in SIZES:
        rows.append(measure(nodes, messages=20 if nodes < 50 else 3, idle_seconds=1.0, split_seconds=2.0))
        print(rows[-1], file=sys.stderr, flush=True)
    PAGE.write_text(page(rows))
    PICTURE.write_text(picture(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What goes wrong, and the proof that it did. At the end of each fault everything can become whole again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Protocol

from tests.failover.cluster import LOCATIONS, NODES, Cluster
from tests.failover.forms import Form
from tests.failover.links import Rule
from wsmesh.registry_client import RegistryError

EAST = [node for node, location in LOCATIONS.items() if location == "east"]
WEST = [node for node, location in LOCATIONS.items() if location == "west"]
SILENT = Rule(silent=True)


class Run(Protocol):
    """The traffic that goes on meanwhile."""

    cluster: Cluster
    form: Form

    def mark(self, what: str) -> None:
        """Note that something was done now; the first one is the fault."""

    def saw(self, what: str) -> None:
        """Note a proof."""

    async def losses(self) -> int:
        """Connections that clients have lost until now."""

    async def all_back(self) -> None:
        """Wait until every client is subscribed again."""


@dataclass(frozen=True)
class Scenario:
    """A fault. `cuts`: clients lose their connections and are to come back; `goal`: seconds for 99 in 100 of them."""

    name: str
    title: str
    about: str
    fault: Callable[[Run], Awaitable[None]]
    goal: float | None = None
    rolling: bool = False


async def seen(run: Run, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a proof and note it."""
    await run.cluster.until(what, condition)
    run.saw(what)


def both(ones: list[str], others: list[str]) -> list[tuple[str, str]]:
    """All directions between two groups."""
    return [way for one, other in product(ones, others) for way in ((one, other), (other, one))]


async def kill(run: Run) -> None:
    """kill -9 of a node; it comes back later."""
    cluster = run.cluster
    node = await busiest(run)
    run.mark(f"kill -9 {node}")
    await cluster.kill(node)
    await seen(run, f"HAProxy took {node} out", lambda: out_at(cluster, "east", node))
    await run.all_back()
    await asyncio.sleep(run.form.hold)
    run.mark(f"{node} starts")
    await cluster.start(node)


async def pause(run: Run) -> None:
    """A node freezes: its sockets stay, nothing answers."""
    cluster = run.cluster
    node = await busiest(run)
    run.mark(f"{node} freezes")
    await cluster.pause(node)
    await seen(run, f"HAProxy took the frozen {node} out", lambda: out_at(cluster, "east", node))
    await run.all_back()
    await asyncio.sleep(run.form.hold)
    run.mark(f"{node} goes on")
    await cluster.unpause(node)


async def partition_of_nodes(run: Run) -> None:
    """Two nodes of a location do not hear each other; a third hears both."""
    cluster = run.cluster
    run.mark("n1 and n2 parted")
    cluster.links.set(both(["n1"], ["n2"]), SILENT)
    await seen(run, "n1 does not reach n2", lambda: unreached(cluster, "n1", {"n2"}))
    await seen(run, "n2 does not reach n1", lambda: unreached(cluster, "n2", {"n1"}))
    await asyncio.sleep(run.form.hold)
    run.mark("healed")
    cluster.links.heal()


async def partition_of_locations(run: Run) -> None:
    """The locations do not hear each other, nor does the western one hear the registry."""
    cluster = run.cluster
    run.mark("locations parted")
    cluster.links.set(both(WEST, [*EAST, "registry"]), SILENT)
    cluster.links.set(both(["haproxy-west"], ["registry"]), SILENT)
    for node, others in ((EAST[0], WEST), (WEST[0], EAST)):
        what = f"{node} reaches neither {' nor '.join(others)}"
        await seen(run, what, lambda node=node, others=others: unreached(cluster, node, set(others)))  # type: ignore[misc]
    await asyncio.sleep(run.form.hold)
    run.mark("healed")
    cluster.links.heal()


async def one_way(run: Run) -> None:
    """What n1 says reaches n2, but nothing that n2 says reaches n1."""
    cluster = run.cluster
    run.mark("nothing from n2 to n1")
    cluster.links.set([("n2", "n1")], SILENT)
    await seen(run, "n1 gets no answer of n2", lambda: unreached(cluster, "n1", {"n2"}))
    held = cluster.links.figures["held back"]
    await seen(run, "n2 talks to n1 in vain", lambda: holds(cluster.links.figures["held back"] > held))
    await asyncio.sleep(run.form.hold)
    run.mark("healed")
    cluster.links.heal()


async def half_open(run: Run) -> None:
    """The connections between two nodes are dead and neither is told; new ones work."""
    cluster = run.cluster
    before = [await cluster.of_node(node) for node in ("n1", "n2")]
    run.mark("connections of n1 and n2 go dead")
    assert cluster.links.break_open("n1", "n2") >= 2
    for (node, peer), figures in zip((("n1", "n2"), ("n2", "n1")), before, strict=True):
        name = f'wsmesh_peer_retries_total{{peer="{peer}"}}'

        async def failed(node: str = node, name: str = name, least: float = figures[name]) -> bool:
            return (await cluster.of_node(node)).get(name, 0) > least

        await seen(run, f"a request of {node} to {peer} went unanswered", failed)
        await seen(run, f"{node} reaches {peer} again", lambda n=node, p=peer: reached(cluster, n, p))  # type: ignore[misc]
    await asyncio.sleep(run.form.hold)


async def registry_down(run: Run) -> None:
    """The registry dies; a node is killed and comes back without it; then the registry comes back."""
    cluster = run.cluster
    run.mark("kill -9 registry")
    await cluster.kill("registry")
    run.mark("n4 restarts without it")
    await cluster.kill("n4")
    await cluster.start("n4")
    await seen(run, "n4 serves with the configuration of its disk", lambda: logged(cluster, "n4", "config_from_disk"))
    await seen(run, "n4 takes clients", lambda: ready(cluster, "n4"))
    await asyncio.sleep(run.form.hold)
    run.mark("registry starts")
    await cluster.start("registry")


async def registry_restored(run: Run) -> None:
    """The registry's database is replaced by a backup that does not know the last node, nor an app made since."""
    cluster = run.cluster
    async with cluster.registry() as registry:
        await registry.create_app({"id": "since", "name": "made after the backup"})
        before = await registry.generation()
    run.mark("registry stops")
    await cluster.stop("registry")
    await cluster.restore_registry()
    run.mark("backup starts")
    await cluster.start("registry")

    async def restored() -> bool:
        async with cluster.registry() as registry:
            apps, nodes = await registry.apps(), await registry.nodes()
            known = {node["id"] for node in nodes if node["state"] == "ready"}
            return [app["id"] for app in apps] == [cluster.app["id"]] and known == set(NODES)

    await seen(run, "the app made since is gone, the nodes have registered again", patient(restored))
    async with cluster.registry() as registry:
        assert await registry.generation() > before
    await asyncio.sleep(run.form.hold)


async def haproxy_restart(run: Run) -> None:
    """An HAProxy restarts: all its connections end at once."""
    cluster = run.cluster
    before = await run.losses()
    run.mark("HAProxy of the east restarts")
    await asyncio.to_thread(cluster.containers["haproxy-east"].restart, timeout=5)
    await run.all_back()
    lost = await run.losses() - before
    assert lost >= run.form.clients * len(EAST) // len(NODES), f"only {lost} clients noticed"
    run.saw(f"{lost} clients lost their connection and came back")


async def node_restart(run: Run) -> None:
    """A node is restarted in order: it drains first."""
    await restart(run, await busiest(run))


async def rolling_restart(run: Run) -> None:
    """All nodes are restarted in order, one after the other, as an upgrade does."""
    for node in NODES:
        await restart(run, node)
        await run.cluster.well()


async def restart(run: Run, node: str) -> None:
    """SIGTERM, wait, start, wait until it is a member as before."""
    cluster = run.cluster
    async with cluster.registry() as registry:
        before = (await registry.node(node))["run"]
    run.mark(f"{node} drains")
    await cluster.stop(node)
    run.mark(f"{node} starts")
    await cluster.start(node)

    async def again() -> bool:
        async with cluster.registry() as registry:
            return bool((await registry.node(node))["run"] != before)

    await seen(run, f"{node} is registered with another run", patient(again))


async def one_left(run: Run) -> None:
    """All nodes but one die, one after the other, and come back. Alone, a node gets nothing acknowledged by others."""
    cluster = run.cluster
    *dying, left = ["n5", "n4", "n3", "n2", "n1"]
    async with cluster.registry() as registry:
        streams = {node["id"]: node["run"] for node in await registry.nodes()}
    for number, node in enumerate(dying):
        run.mark(f"kill -9 {node}")
        await cluster.kill(node)
        await seen(run, f"{left} does not reach {node}", lambda n=node: unreached(cluster, left, {n}))  # type: ignore[misc]
        # A message that only one other node had heard of must be known to all who live before that one dies too.
        living, stream = NODES[: 4 - number], streams[node]
        await cluster.until(f"all hold the same of {stream}", lambda n=living, s=stream: agreed(cluster, n, s))  # type: ignore[misc]
    await seen(run, "no other node takes clients", lambda: only_up(cluster, {left}))
    await run.all_back()
    await asyncio.sleep(run.form.hold)
    run.mark("all start")
    await asyncio.gather(*(cluster.start(node) for node in dying))


async def slow_link(run: Run) -> None:
    """The link between the locations is slow, stalls and breaks off."""
    cluster = run.cluster
    rule = Rule(delay=0.1, jitter=0.05, stall=1.0, stall_chance=0.02, reset_chance=0.005)
    run.mark("slow link")
    cluster.links.figures.clear()
    cluster.links.set(both(WEST, EAST), rule)
    figures = cluster.links.figures
    await seen(
        run,
        "pieces were delayed and stalled, connections reset",
        lambda: holds(figures["stalls"] and figures["resets"]),
    )
    await asyncio.sleep(2 * run.form.hold)
    run.mark("healed")
    run.saw(", ".join(f"{number} {name}" for name, number in sorted(figures.items())))
    cluster.links.heal()


# --- conditions


async def busiest(run: Run) -> str:
    """The node of the east with most clients; a fault that nobody notices would prove nothing."""
    figures = {node: (await run.cluster.of_node(node)).get("wsmesh_connections", 0.0) for node in EAST}
    node = max(figures, key=lambda node: figures[node])
    assert figures[node], "no node of the east has clients"
    run.saw(f"{node} had {figures[node]:.0f} clients")
    return node


async def holds(value: object) -> bool:
    return bool(value)


async def out_at(cluster: Cluster, location: str, node: str) -> bool:
    up = await cluster.up_at(location)
    return bool(up) and node not in up


async def only_up(cluster: Cluster, nodes: set[str]) -> bool:
    return [await cluster.up_at(location) for location in ("east", "west")] == [nodes] * 2


async def unreached(cluster: Cluster, node: str, others: set[str]) -> bool:
    figures = await cluster.of_node(node)
    return all(figures and not figures.get(f'wsmesh_peer_up{{peer="{other}"}}') for other in others)


async def reached(cluster: Cluster, node: str, other: str) -> bool:
    return other in await cluster.peers_up(node)


async def ready(cluster: Cluster, node: str) -> bool:
    return bool((await cluster.of_node(node)).get("wsmesh_ready"))


async def agreed(cluster: Cluster, nodes: list[str], stream: str) -> bool:
    """Whether all hold a dead node's stream up to the same number."""
    return len({await cluster.last_of(node, stream) for node in nodes}) == 1


async def logged(cluster: Cluster, name: str, event: str) -> bool:
    """Whether a container has said so since it was started last."""
    container = cluster.containers[name]

    def found() -> bool:
        container.reload()
        started = datetime.fromisoformat(container.attrs["State"]["StartedAt"][:19] + "+00:00")
        return event in container.logs(since=int(started.timestamp())).decode()

    return await asyncio.to_thread(found)


def patient(condition: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
    """The same for a registry that may not answer yet."""

    async def held() -> bool:
        try:
            return await condition()
        except RegistryError:
            return False

    return held


SCENARIOS = [
    Scenario("kill", "kill -9 of a node", kill.__doc__ or "", kill, goal=2.0),
    Scenario("pause", "a node freezes", pause.__doc__ or "", pause, goal=5.0),
    Scenario("nodes-parted", "partition of two nodes", partition_of_nodes.__doc__ or "", partition_of_nodes),
    Scenario(
        "locations-parted", "partition of two locations", partition_of_locations.__doc__ or "", partition_of_locations
    ),
    Scenario("one-way", "one-way link", one_way.__doc__ or "", one_way),
    Scenario("half-open", "half-open connections", half_open.__doc__ or "", half_open),
    Scenario("registry-down", "registry down and back", registry_down.__doc__ or "", registry_down),
    Scenario(
        "registry-restored", "registry restored from an old backup", registry_restored.__doc__ or "", registry_restored
    ),
    Scenario("haproxy-restart", "restart of HAProxy", haproxy_restart.__doc__ or "", haproxy_restart),
    Scenario("node-restart", "restart of a node", node_restart.__doc__ or "", node_restart),
    Scenario(
        "rolling-restart", "rolling restart of all nodes", rolling_restart.__doc__ or "", rolling_restart, rolling=True
    ),
    Scenario("one-left", "all nodes but one dead", one_left.__doc__ or "", one_left),
    Scenario("slow-link", "slow link between locations", slow_link.__doc__ or "", slow_link),
]

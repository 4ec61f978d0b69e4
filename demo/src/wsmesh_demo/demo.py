"""The demo as it runs: a cluster, its page, its commands, until someone ends it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from wsmesh_demo.cluster import Cluster
from wsmesh_demo.control import Control
from wsmesh_demo.page import Page
from wsmesh_demo.plan import Plan
from wsmesh_demo.publisher import CHANNEL

LOOK_SECONDS = 0.3
"""Time between two looks at whether every process still runs."""


async def run(plan: Plan, on_ready: Callable[[str], None]) -> bool:
    """Run a demo until SIGINT, SIGTERM or SIGHUP; whether it had become ready. Raises DemoError when it cannot start.

    `on_ready` gets the text for the person who started it, once everything works.
    """
    ready = False
    me = asyncio.current_task()
    assert me is not None
    ending = False

    def end() -> None:
        nonlocal ending
        if not ending:
            ending = True
            me.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        async with AsyncExitStack() as stack:
            cluster = await stack.enter_async_context(Cluster(plan))
            for part in (Page(cluster), Control(cluster)):
                await part.start()
                stack.push_async_callback(part.stop)
            on_ready(instructions(cluster))
            ready = True
            await _watch(cluster)
    except asyncio.CancelledError:
        if not ending:
            raise
    return ready


async def _watch(cluster: Cluster) -> None:
    """Say which process ended, and keep cluster.json true, until cancelled."""
    assert cluster.balancer is not None
    running: set[str] = set()
    while True:
        processes = [cluster.registry.process, cluster.balancer.process, cluster.balancer.sync]
        processes += [node.process for node in cluster.nodes]
        alive = {process.name for process in processes if process.alive}
        for name in sorted(running - alive):
            cluster.plan.say(f"{name} has ended")
        for name in sorted(alive - running) if running else ():
            cluster.plan.say(f"{name} runs")
        if alive != running:
            cluster.write_cluster_file()
        running = alive
        await asyncio.sleep(LOOK_SECONDS)


def instructions(cluster: Cluster) -> str:
    """What to open and what to type."""
    make = cluster.state.make_option()
    wsmesh = Path(sys.executable).parent / "wsmesh"
    if wsmesh.is_relative_to(Path.cwd()):
        wsmesh = wsmesh.relative_to(Path.cwd())
    wsmesh_command = f"{wsmesh} --cluster {cluster.state.cluster_file}" if make else f"{wsmesh}"
    nodes = list(cluster.nodes)
    places = ", ".join(f"{node.id} in {node.location}" for node in nodes)
    rows = [
        ("open", f"{cluster.url}/"),
        ("", "(the certificate is of this run alone: let your browser go on past its warning)"),
        ("kill a node", f"make demo-kill NODE=1{make}"),
        ("", "(the page says which one serves it, and goes on at another)"),
        ("start it again", f"make demo-start NODE=1{make}"),
        ("add a node", f"make demo-add{make}"),
        ("listen", f"{wsmesh_command} listen {CHANNEL}"),
        ("publish", f"{wsmesh_command} publish {CHANNEL} message 'hello from a shell'"),
        ("look", f"{wsmesh_command} nodes list"),
        ("end", f"Ctrl-C here, or make demo-stop{make}"),
    ]
    lines = [f"{what:>16}  {text}" for what, text in rows]
    return "\n".join(
        ["", f"The cluster runs: {places}, behind HAProxy in {cluster.plan.locations[0]}.", "", *lines, ""]
    )

"""`wsmesh-demo`: what `make demo` and its kin call."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from wsmesh_demo import control, demo
from wsmesh_demo.detach import Background, detached
from wsmesh_demo.errors import DemoError
from wsmesh_demo.plan import Plan
from wsmesh_demo.ports import MAX_NODES, Ports
from wsmesh_demo.state import StateFolder

DEFAULT_PORT = 8443
STOP_SECONDS = 30.0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="wsmesh-demo", description="A wsmesh cluster on this machine, with a page.")
    top.add_argument("--dir", type=Path, default=Path(".demo"), help="folder for state, secrets and logs")
    commands = top.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start a cluster, and end it with Ctrl-C")
    up.add_argument("--nodes", type=int, default=3, help=f"how many nodes, 1 to {MAX_NODES} (3)")
    up.add_argument("--detach", action="store_true", help="return when everything is ready, and leave it running")
    for item in fields(Ports):
        about = f"HAProxy's port; the others follow ({DEFAULT_PORT})" if item.name == "port" else "moves this one alone"
        up.add_argument(f"--{item.name.replace('_', '-')}", type=int, metavar="PORT", help=about)
    commands.add_parser("stop", help="end the cluster, wherever it runs")
    for name, about in (("kill", "kill a node, as a crash would"), ("start", "start a killed node again")):
        commands.add_parser(name, help=about).add_argument("node", help="its number, or its id")
    commands.add_parser("add", help="add a node")
    commands.add_parser("status", help="say what runs")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    given = parser().parse_args(argv)
    os.umask(0o077)
    state = StateFolder(given.dir)
    try:
        match given.command:
            case "up":
                return _up(given)
            case "stop":
                return _stop(state)
            case "status":
                return _status(state)
            case "add":
                path = "/nodes"
            case _:
                path = f"/nodes/{_number(given.node)}/{given.command}"
        socket = Path(state.read_cluster()["control_socket"])
        print(asyncio.run(control.command(socket, path)))
    except DemoError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


def _up(given: argparse.Namespace) -> int:
    moved = {item.name: value for item in fields(Ports) if (value := getattr(given, item.name)) is not None}
    ports = Ports.laid_out(moved.get("port", DEFAULT_PORT), moved)
    plan = Plan(
        folder=given.dir,
        ports=ports,
        nodes=given.nodes,
        registry_settings={"LEASE_SECONDS": "5"},  # so that the page's counts and states are fresh
        say=lambda text: print(f"· {text}", flush=True),
    )
    if given.detach:
        return detached(lambda background: _run(plan, background))
    return _run(plan, None)


def _run(plan: Plan, background: Background | None) -> int:
    def on_ready(text: str) -> None:
        print(text, flush=True)
        if background is not None:
            background.ready(StateFolder(plan.folder).logs / "demo.log")

    started = time.monotonic()
    try:
        ready = asyncio.run(
            demo.run(plan, lambda text: on_ready(f"{text}\nready in {time.monotonic() - started:.0f} s"))
        )
    except DemoError as problem:
        print(f"error: {problem}", file=sys.stderr, flush=True)
        return 1
    print("\n· everything has ended", flush=True)
    return 0 if ready else 1


def _stop(state: StateFolder) -> int:
    owner = state.owner()
    deadline = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(ProcessLookupError):
        if owner is not None:
            os.kill(owner, signal.SIGTERM)
        while owner is not None and state.owner() == owner:
            if time.monotonic() > deadline:
                os.kill(owner, signal.SIGKILL)  # the kernel then kills its children
            time.sleep(0.05)
    state.sweep()
    print("no demo runs" if owner is None else "the demo has ended")
    return 0


def _status(state: StateFolder) -> int:
    owner = state.owner()
    cluster = state.read_cluster() if owner is not None else None
    if cluster is None:
        print("no demo runs")
        return 1
    print(f"{cluster['url']}/ (process {owner})")
    for node in cluster["nodes"]:
        runs = f"process {node['pid']}" if node["pid"] else "does not run"
        print(f"  {node['id']:6} {node['location']:8} {node['client_url']}  {runs}")
    return 0


def _number(node: str) -> int:
    digits = node.removeprefix("n")
    if not digits.isdecimal() or len(digits) > 4:
        raise DemoError(f"NODE: found {node!r}, expected the number of a node, like 2")
    return int(digits)


if __name__ == "__main__":
    sys.exit(main())

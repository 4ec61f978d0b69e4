"""`wsmesh nodes`: see and steer the members of the cluster."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from wsmesh.cli import output
from wsmesh.cli.options import AsJson, Yes
from wsmesh.cli.running import confirm, run, target_of
from wsmesh.registry_client import Json, RegistryClient

app = typer.Typer()

_Steer = Callable[[RegistryClient, str], Awaitable[Json]]

NodeId = Annotated[str, typer.Argument(metavar="ID", help="Id of the node.")]

COLUMNS = ("node", "state", "location", "slot", "client address", "connections", "peers", "version", "last heartbeat")


def row(node: Json) -> tuple[object, ...]:
    """A node as a row of the table."""
    figures = node.get("figures") or {}
    peers = f"{figures['peers_up']}/{figures['peers_known']}" if "peers_known" in figures else None
    return (
        node.get("id"),
        node.get("state"),
        node.get("location"),
        node.get("slot"),
        node.get("client_address"),
        figures.get("connections"),
        peers,
        node.get("version"),
        output.moment(node.get("last_heartbeat")),
    )


@app.callback(invoke_without_command=True)
def nodes(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Nodes: list (also without a command), show, drain, undrain, remove.

    Examples:

        wsmesh nodes

        wsmesh nodes drain n2 && wsmesh nodes show n2
    """
    if ctx.invoked_subcommand is None:
        list_nodes(ctx, as_json)


@app.command("list")
def list_nodes(ctx: typer.Context, as_json: AsJson = False) -> None:
    """All nodes that the registry knows, those that are gone too."""

    async def work() -> list[Json]:
        async with target_of(ctx).registry() as registry:
            return await registry.nodes()

    found = run(work())
    if as_json:
        output.as_json(found)
    else:
        output.table(COLUMNS, [row(node) for node in found], "no node has registered yet")


@app.command()
def show(ctx: typer.Context, node: NodeId, as_json: AsJson = False) -> None:
    """Everything that the registry knows of one node."""

    async def work() -> Json:
        async with target_of(ctx).registry() as registry:
            return await registry.node(node)

    found = run(work())
    output.record(found, as_json)


@app.command()
def drain(ctx: typer.Context, node: NodeId, as_json: AsJson = False) -> None:
    """Send no new clients to a node, and have it move those it has. The node keeps running.

    Examples:

        wsmesh nodes drain n2
    """
    _steer(ctx, node, RegistryClient.drain, "drains: HAProxy sends it no new clients", as_json)


@app.command()
def undrain(ctx: typer.Context, node: NodeId, as_json: AsJson = False) -> None:
    """Let a drained node take clients again."""
    _steer(ctx, node, RegistryClient.undrain, "takes clients again", as_json)


@app.command()
def remove(ctx: typer.Context, node: NodeId, yes: Yes = False, as_json: AsJson = False) -> None:
    """Forget a node and free its slot. One that still runs registers again: stop it first."""
    confirm(f"Remove node {node} and free its slot?", yes=yes)

    async def work() -> None:
        async with target_of(ctx).registry() as registry:
            await registry.remove_node(node)

    run(work())
    output.done("node", node, "removed", as_json)


def _steer(ctx: typer.Context, node: str, do: _Steer, result: str, as_json: bool) -> None:
    async def work() -> Json:
        async with target_of(ctx).registry() as registry:
            return await do(registry, node)

    found = run(work())
    if as_json:
        output.as_json(found)
    else:
        print(f"node {output.printable(node)} {result}")

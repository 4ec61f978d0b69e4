"""`wsmesh keys` and `wsmesh audit`: who may use the registry, and who changed what."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from wsmesh.cli import output
from wsmesh.cli.options import AsJson, Yes
from wsmesh.cli.running import confirm, run, target_of
from wsmesh.registry_client import Json

app = typer.Typer(help="API keys of the registry: list, create, revoke.", no_args_is_help=True)

COLUMNS = ("key", "name", "role", "made", "expires")


class Role(StrEnum):
    """What a key may do."""

    ADMIN = "admin"
    NODE = "node"
    BALANCER = "balancer"


@app.command("list")
def list_keys(ctx: typer.Context, as_json: AsJson = False) -> None:
    """All API keys, by their ids; the keys themselves are stored nowhere."""

    async def work() -> list[Json]:
        async with target_of(ctx).registry() as registry:
            return await registry.keys()

    found = run(work())
    if as_json:
        output.as_json(found)
        return
    rows = [
        (
            one.get("id"),
            one.get("name"),
            one.get("role"),
            output.moment(one.get("created_at")),
            output.moment(one["expires_at"]) if one.get("expires_at") else "never",
        )
        for one in found
    ]
    output.table(COLUMNS, rows, "there is no key")


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Who or what will use the key; the audit record shows it.")],
    role: Annotated[Role, typer.Option(help="What the key may do.")],
    days: Annotated[
        float | None, typer.Option("--expires-days", help="Days until it expires; left out: never.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is shown this once. Several may be valid at once, so that keys can be rotated.

    Examples:

        wsmesh keys create nodes-2027 --role node --expires-days 365
    """
    body: dict[str, Any] = {"name": name, "role": role.value}
    if days is not None:
        body["expires_days"] = days

    async def work() -> Json:
        async with target_of(ctx).registry() as registry:
            return await registry.create_key(body)

    found = run(work())
    output.record(found, as_json)


@app.command()
def revoke(
    ctx: typer.Context,
    key_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the key, from wsmesh keys list.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make an API key invalid, at once."""
    confirm(f"Revoke key {key_id}? Whoever uses it is refused at once.", yes=yes)

    async def work() -> None:
        async with target_of(ctx).registry() as registry:
            await registry.revoke_key(key_id)

    run(work())
    output.done("key", key_id, "revoked", as_json)


def audit(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Who changed what, and when; the newest first.

    Examples:

        wsmesh audit --limit 10

        wsmesh audit --json | jq '.[] | select(.action == "node.drain")'
    """

    async def work() -> list[Json]:
        async with target_of(ctx).registry() as registry:
            return await registry.audit(limit)

    found = run(work())
    if as_json:
        output.as_json(found)
        return
    rows = [
        (output.moment(one.get("at")), one.get("key"), one.get("action"), one.get("object"), _difference(one))
        for one in found
    ]
    output.table(("when", "key", "action", "what", "change"), rows, "nothing was changed yet")


def _difference(entry: Json) -> str:
    """The fields that differ, `name: before -> after`; nothing where something was made or deleted."""
    before, after = entry.get("before"), entry.get("after")
    if not before or not after:
        return ""
    names = [name for name in after if after[name] != before.get(name)]
    return "; ".join(f"{name}: {output.cell(before.get(name))} -> {output.cell(after[name])}" for name in names)

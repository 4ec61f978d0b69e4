"""`wsmesh apps`: tenants, their keys and limits."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wsmesh.cli import output, webhooks
from wsmesh.cli.options import AsJson, Yes
from wsmesh.cli.running import confirm, run, target_of
from wsmesh.registry_client import Json

app = typer.Typer(
    help="Apps: list, create, show, change, delete; new publish keys and secrets; webhooks.", no_args_is_help=True
)
app.add_typer(webhooks.app, name="webhooks")

AppId = Annotated[str, typer.Argument(metavar="APP", help="Id of the app.")]
Name = Annotated[str | None, typer.Option(help="What people call the app.")]
Origin = Annotated[
    list[str] | None,
    typer.Option(help="Origin that browsers may come from, like https://*.example.com; repeat for more."),
]
MaxConnections = Annotated[int | None, typer.Option(min=0, help="Clients at a time in the whole cluster; 0: no bound.")]
MaxDataBytes = Annotated[int | None, typer.Option(min=1, help="Largest data of one event, in bytes.")]
MaxChannels = Annotated[int | None, typer.Option(min=0, help="Channels that one client may join; 0: no bound.")]
PublishesPerSecond = Annotated[
    int | None, typer.Option(min=0, help="Publish requests that each node takes in a second; 0: no bound.")
]

COLUMNS = ("app", "name", "key", "enabled", "origins", "rules", "publish keys")


def row(found: Json) -> tuple[object, ...]:
    """An app as a row of the table."""
    names = ("id", "name", "key", "enabled", "allowed_origins", "rules", "publish_keys")
    return tuple(found.get(name) for name in names)


@app.command("list")
def list_apps(ctx: typer.Context, as_json: AsJson = False) -> None:
    """All apps."""

    async def work() -> list[Json]:
        async with target_of(ctx).registry() as registry:
            return await registry.apps()

    found = run(work())
    if as_json:
        output.as_json(found)
    else:
        output.table(COLUMNS, [row(one) for one in found], "there is no app yet; make one: wsmesh apps create")


@app.command()
def create(
    ctx: typer.Context,
    app_id: Annotated[str | None, typer.Argument(metavar="[APP]", help="Id of the app; made up when left out.")] = None,
    name: Name = None,
    origin: Origin = None,
    max_connections: MaxConnections = None,
    max_data_bytes: MaxDataBytes = None,
    max_channels_per_connection: MaxChannels = None,
    publishes_per_second: PublishesPerSecond = None,
    as_json: AsJson = False,
) -> None:
    """Make an app. Its secret and first publish key are shown this once; keep them.

    Examples:

        wsmesh apps create shop --name "The shop"

        wsmesh apps create shop --origin https://shop.example --max-connections 5000
    """
    limits = _limits(max_connections, max_data_bytes, max_channels_per_connection, publishes_per_second)
    body = _given(id=app_id, name=name, allowed_origins=origin, limits=limits)

    async def work() -> Json:
        async with target_of(ctx).registry() as registry:
            return await registry.create_app(body)

    _show(run(work()), as_json)


@app.command()
def show(ctx: typer.Context, app_id: AppId, as_json: AsJson = False) -> None:
    """One app, without its secret."""

    async def work() -> Json:
        async with target_of(ctx).registry() as registry:
            return await registry.app(app_id)

    _show(run(work()), as_json)


@app.command()
def change(
    ctx: typer.Context,
    app_id: AppId,
    name: Name = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether clients and publishers are served.")
    ] = None,
    origin: Origin = None,
    any_origin: Annotated[bool, typer.Option("--any-origin", help="Let browsers come from anywhere.")] = False,
    max_connections: MaxConnections = None,
    max_data_bytes: MaxDataBytes = None,
    max_channels_per_connection: MaxChannels = None,
    publishes_per_second: PublishesPerSecond = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given, and nothing else. `--origin` replaces all origins.

    Examples:

        wsmesh apps change shop --disable

        wsmesh apps change shop --max-data-bytes 20480 --any-origin
    """
    origins = [] if any_origin else origin or None
    limits = _limits(max_connections, max_data_bytes, max_channels_per_connection, publishes_per_second)
    body = _given(name=name, enabled=enabled, allowed_origins=origins, limits=limits)
    if not body:
        raise typer.BadParameter("nothing to change; see wsmesh apps change --help")
    if any_origin and origin:
        raise typer.BadParameter("--origin and --any-origin exclude each other")

    async def work() -> Json:
        async with target_of(ctx).registry() as registry:
            return await registry.change_app(app_id, body)

    _show(run(work()), as_json)


@app.command()
def delete(ctx: typer.Context, app_id: AppId, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete an app with its rules and keys; its clients are closed."""
    confirm(f"Delete app {app_id} with its rules and keys, and close its clients?", yes=yes)

    async def work() -> None:
        async with target_of(ctx).registry() as registry:
            await registry.delete_app(app_id)

    run(work())
    output.done("app", app_id, "deleted", as_json)


@app.command("publish-key")
def publish_key(ctx: typer.Context, app_id: AppId, as_json: AsJson = False) -> None:
    """Make one more publish key. It is shown this once; the earlier ones stay valid."""

    async def work() -> Json:
        async with target_of(ctx).registry() as registry:
            return await registry.new_publish_key(app_id)

    _show(run(work()), as_json)


@app.command()
def secret(ctx: typer.Context, app_id: AppId, yes: Yes = False, as_json: AsJson = False) -> None:
    """Give the app another secret, shown this once. What signs with the old one is refused from then on."""
    confirm(f"Replace the secret of app {app_id}? Back ends that sign with the old one are refused at once.", yes=yes)

    async def work() -> Json:
        async with target_of(ctx).registry() as registry:
            return await registry.new_secret(app_id)

    _show(run(work()), as_json)


def _limits(connections: int | None, data: int | None, channels: int | None, publishes: int | None) -> Json | None:
    return (
        _given(
            max_connections=connections,
            max_data_bytes=data,
            max_channels_per_connection=channels,
            publishes_per_second=publishes,
        )
        or None
    )


def _given(**values: Any) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _show(found: Json, as_json: bool) -> None:
    output.record(found, as_json)

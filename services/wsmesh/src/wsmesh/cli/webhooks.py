"""`wsmesh apps webhooks`: who is told what happens on an app's channels."""

from __future__ import annotations

from typing import Annotated

import typer

from wsmesh.cli import output
from wsmesh.cli.options import AsJson, Yes
from wsmesh.cli.running import confirm, run, target_of
from wsmesh.contract import WEBHOOK_EVENTS, Webhook
from wsmesh.registry_client import Json

app = typer.Typer(help="Webhooks of an app: list, set, delete.", no_args_is_help=True)

App = Annotated[str, typer.Argument(metavar="APP", help="Id of the app.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the webhook.")]

COLUMNS = Webhook.__struct_fields__
KEPT = ("url", "events", "channels")


@app.command("list")
def list_webhooks(ctx: typer.Context, app_id: App, as_json: AsJson = False) -> None:
    """The webhooks of an app."""

    async def work() -> list[Json]:
        async with target_of(ctx).registry() as registry:
            return await registry.webhooks(app_id)

    found = run(work())
    if as_json:
        output.as_json(found)
        return
    rows = [tuple(webhook.get(column) for column in COLUMNS) for webhook in found]
    output.table(COLUMNS, rows, "this app has no webhook")


@app.command("set")
def set_webhook(
    ctx: typer.Context,
    app_id: App,
    name: Name,
    url: Annotated[str | None, typer.Option(help="Where to POST; a new webhook needs it.")] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(help=f"What to tell, of {', '.join(WEBHOOK_EVENTS)}; repeat for more. A new webhook tells all."),
    ] = None,
    channels: Annotated[
        str | None, typer.Option(help="Only channels that match; * stands for any run of characters.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a webhook, or change what is given of the present one. `--event` replaces all events.

    Examples:

        wsmesh apps webhooks set shop orders --url https://shop.example/hooks --channels 'order-*'

        wsmesh apps webhooks set shop orders --event channel_occupied --event channel_vacated
    """
    options = {"url": url, "events": event or None, "channels": channels}
    given = {field: value for field, value in options.items() if value is not None}

    async def work() -> Json:
        async with target_of(ctx).registry() as registry:
            present = next((one for one in await registry.webhooks(app_id) if one.get("name") == name), {})
            fields = {field: value for field, value in present.items() if field in KEPT}
            return await registry.set_webhook(app_id, name, fields | given)

    found = run(work())
    output.record(found, as_json)


@app.command()
def delete(ctx: typer.Context, app_id: App, name: Name, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a webhook. What it has not been told yet is dropped."""
    confirm(f"Delete the webhook {name} of app {app_id}?", yes=yes)

    async def work() -> None:
        async with target_of(ctx).registry() as registry:
            await registry.delete_webhook(app_id, name)

    run(work())
    output.done("webhook", name, "deleted", as_json)

"""`wsmesh rules`: the settings of an app's channels."""

from __future__ import annotations

from typing import Annotated

import typer

from wsmesh.cli import output
from wsmesh.cli.options import AppId, AsJson, Yes
from wsmesh.cli.running import confirm, run, target_of
from wsmesh.contract import ChannelRule
from wsmesh.registry_client import Json

app = typer.Typer(help="Channel rules of an app: list, set, delete.", no_args_is_help=True)

Pattern = Annotated[str, typer.Argument(help="Channels that the rule is for; * stands for any run of characters.")]

COLUMNS = ChannelRule.__struct_fields__


@app.command("list")
def list_rules(ctx: typer.Context, app_id: AppId = None, as_json: AsJson = False) -> None:
    """The channel rules of an app.

    Examples:

        wsmesh rules list --app shop
    """
    target = target_of(ctx)

    async def work() -> list[Json]:
        chosen = target.app_id(app_id)
        async with target.registry() as registry:
            return await registry.rules(chosen)

    found = run(work())
    if as_json:
        output.as_json(found)
        return
    rows = [tuple(rule.get(column) for column in COLUMNS) for rule in found]
    output.table([column.replace("_", " ") for column in COLUMNS], rows, "this app has no rule; defaults apply")


@app.command("set")
def set_rule(
    ctx: typer.Context,
    pattern: Pattern,
    app_id: AppId = None,
    history_messages: Annotated[int | None, typer.Option(help="Messages kept for clients that resume.")] = None,
    history_seconds: Annotated[int | None, typer.Option(help="Age up to which they are kept, in seconds.")] = None,
    history_bytes: Annotated[int | None, typer.Option(help="Memory for those of one channel; 0: no bound.")] = None,
    cache: Annotated[bool | None, typer.Option(help="Give the last event to new subscribers.")] = None,
    subscription_count: Annotated[bool | None, typer.Option(help="Tell subscribers how many they are.")] = None,
    presence_max_members: Annotated[int | None, typer.Option(help="Members of one presence channel.")] = None,
    presence_max_user_bytes: Annotated[int | None, typer.Option(help="Largest user object, in bytes.")] = None,
    max_data_bytes: Annotated[int | None, typer.Option(help="Largest data of one event; 0: the app's limit.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a channel rule, or change what is given of the present one.

    Examples:

        wsmesh rules set 'news-*' --app shop --history-messages 500 --cache

        wsmesh rules set 'news-*' --app shop --no-cache
    """
    target = target_of(ctx)
    options = {
        "history_messages": history_messages,
        "history_seconds": history_seconds,
        "history_bytes": history_bytes,
        "cache": cache,
        "subscription_count": subscription_count,
        "presence_max_members": presence_max_members,
        "presence_max_user_bytes": presence_max_user_bytes,
        "max_data_bytes": max_data_bytes,
    }
    given = {name: value for name, value in options.items() if value is not None}

    async def work() -> Json:
        chosen = target.app_id(app_id)
        async with target.registry() as registry:
            present = next((one for one in await registry.rules(chosen) if one.get("pattern") == pattern), {})
            fields = {name: value for name, value in present.items() if name in options}
            return await registry.set_rule(chosen, pattern, fields | given)

    found = run(work())
    output.record(found, as_json)


@app.command()
def delete(
    ctx: typer.Context, pattern: Pattern, app_id: AppId = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Delete a channel rule; the next best rule or the defaults apply to its channels."""
    confirm(f"Delete the rule {pattern}?", yes=yes)
    target = target_of(ctx)

    async def work() -> None:
        chosen = target.app_id(app_id)
        async with target.registry() as registry:
            await registry.delete_rule(chosen, pattern)

    run(work())
    output.done("rule", pattern, "deleted", as_json)

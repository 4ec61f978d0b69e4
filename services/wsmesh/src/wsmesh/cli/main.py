"""The `wsmesh` command: global options, and the commands wired together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsmesh import __version__
from wsmesh.cli import apps, keys, nodes, output, rules
from wsmesh.cli.errors import CliError
from wsmesh.cli.listen import listen
from wsmesh.cli.publish import publish
from wsmesh.cli.status import status
from wsmesh.cli.target import Target, choose

EPILOG = (
    "Exit codes: 0 done; 1 not healthy, not enough events in time, or answered no; 2 wrong usage; 3 refused; "
    "4 unreachable; 130 interrupted."
)

app = typer.Typer(
    no_args_is_help=True,
    epilog=EPILOG,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(nodes.app, name="nodes")
app.add_typer(apps.app, name="apps")
app.add_typer(rules.app, name="rules")
app.add_typer(keys.app, name="keys")
app.command()(keys.audit)
app.command()(publish)
app.command()(listen)
app.command()(status)


def _version(asked: bool) -> None:
    if asked:
        print(f"wsmesh {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(envvar="WSMESH_URL", help="HAProxy, or a node, to publish to and listen at: https://…"),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(envvar="WSMESH_CA", help="Authority of its certificate (PEM); none: the system's.")
    ] = None,
    registry_url: Annotated[
        str | None,
        typer.Option(envvar="WS_UPDATES_URL", help="The registry, or several instances separated by a comma."),
    ] = None,
    registry_key: Annotated[
        str | None,
        typer.Option(
            envvar="WS_UPDATES_KEY",
            help="API key of role admin. Rather set the variable: other users of the machine see options.",
        ),
    ] = None,
    registry_ca: Annotated[
        Path | None,
        typer.Option(envvar="WS_UPDATES_CA", help="Authority of its certificate (PEM); none: the system's."),
    ] = None,
    cluster: Annotated[
        Path | None,
        typer.Option(
            help="File that fills in all of the above, as `make demo` writes it. "
            ".demo/cluster.json is used when it exists and nothing else is given."
        ),
    ] = None,
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Look after a wsmesh cluster: its nodes, apps and keys; publish to it and listen to it.

    Examples:

        wsmesh status

        wsmesh listen news

        wsmesh publish news headline '{"title": "It works"}'
    """
    given = Target(
        url=url or None,
        ca=ca,
        registry_url=registry_url or None,
        registry_key=registry_key or None,
        registry_ca=registry_ca,
    )
    if ctx.resilient_parsing or ctx.invoked_subcommand is None:
        return
    try:
        ctx.obj, note = choose(given, cluster, Path.cwd())
    except CliError as problem:
        output.say(f"wsmesh: {problem}")
        raise typer.Exit(problem.code) from None
    if note is not None:
        output.say(f"wsmesh: {note}")


def main() -> None:
    """The console script."""
    app()

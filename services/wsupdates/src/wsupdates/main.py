"""The command line: `wsupdates`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from wsmesh import __version__, logs, serving
from wsmesh.notify import Notifier
from wsmesh.settings import SettingsError, explain
from wsupdates import app as registry
from wsupdates.adapters.database import FileLock
from wsupdates.domain.keys import Role
from wsupdates.domain.refusals import Refusal
from wsupdates.settings import RegistrySettings
from wsupdates.usecases.keys import Keys
from wsupdates.usecases.store import StoreUnavailable

HELP = f"""The registry of wsmesh: nodes, apps, channel rules and API keys.

Start it, make keys, and give them to nodes and balancers:

\b
  wsupdates keys create --role admin --name ops
  wsupdates keys create --role node --name nodes
  wsupdates keys create --role balancer --name balancers
  wsupdates serve

Without a command it serves. The API is explained at /docs of the running registry.

Settings come from the environment or from --env-file; the environment wins:

\b
{explain(RegistrySettings)}
"""

cli = typer.Typer(
    help=HELP, add_completion=False, no_args_is_help=False, rich_markup_mode=None, pretty_exceptions_enable=False
)
keys_cli = typer.Typer(help="API keys: make, list, revoke. They are stored hashed.", no_args_is_help=True)
cli.add_typer(keys_cli, name="keys")

NoMigrate = Annotated[
    bool, typer.Option("--no-migrate", help="Do not apply migrations; refuse to start while some are pending.")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wsupdates {__version__}")
        raise typer.Exit


@cli.callback(invoke_without_command=True)
def common(
    context: typer.Context,
    env_file: Annotated[Path | None, typer.Option(help="File of NAME=value lines with settings.")] = None,
    check_config: Annotated[
        bool, typer.Option("--check-config", help="Print the settings in force, secrets masked, and stop.")
    ] = False,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Read the settings for the command that follows; without one, serve."""
    context.obj = settings = RegistrySettings.load(os.environ, env_file)
    if check_config:
        for name, value in settings.effective():
            typer.echo(f"{name}={value}")
        raise typer.Exit
    logs.configure("wsupdates", level=settings.log_level, log_format=settings.log_format, environ=os.environ)
    if context.invoked_subcommand is None:
        serve(context)


common.__doc__ = HELP


@cli.command()
def serve(context: typer.Context, no_migrate: NoMigrate = False) -> None:
    """Serve the API until SIGTERM or SIGINT."""
    settings: RegistrySettings = context.obj

    async def run(stop: asyncio.Event) -> None:
        await registry.serve(settings, Notifier(os.environ), migrate=not no_migrate, stop=stop)

    serving.run(run)


@cli.command()
def migrate(context: typer.Context) -> None:
    """Apply pending migrations of the database; stop a registry on SQLite first."""
    settings: RegistrySettings = context.obj

    async def run() -> list[str]:
        lock = FileLock(settings.db_path)
        async with registry.opened(settings) as found:
            if not found.shared and not lock.take():
                if await found.pending():
                    raise SettingsError(f"DB_PATH: a wsupdates serves {settings.db_path}; stop it, then migrate")
                return []
            pending = await found.pending()
            await registry.ensure_migrated(found, apply=True)
            lock.release()
            return pending

    names = asyncio.run(run())
    typer.echo("\n".join(f"applied {name}" for name in names) or "nothing to apply")


@keys_cli.command("create")
def create(
    context: typer.Context,
    role: Annotated[Role, typer.Option(help="What the key may do.")],
    name: Annotated[str, typer.Option(help="Whose key it is; the audit record shows it.")],
    expires_days: Annotated[float | None, typer.Option(min=0.001, help="Days until it expires; none: never.")] = None,
) -> None:
    """Make a key and print it, this once, on standard output."""
    if not 1 <= len(name) <= 64:
        raise SettingsError(f"--name: found {len(name)} characters, expected 1 to 64")

    async def run(keys: Keys) -> str:
        key, secret = await keys.create("command line", name, role, expires_days)
        typer.echo(f"key {key.id}, role {role}, {_until(key.expires_at)}; it is not shown again:", err=True)
        return secret

    typer.echo(_with_keys(context.obj, run))


@keys_cli.command("list")
def list_keys(context: typer.Context) -> None:
    """List the keys."""

    async def run(keys: Keys) -> str:
        found, _ = await keys.page("", 10_000)
        now = time.time()
        rows = [("ID", "ROLE", "NAME", "VALID")]
        rows += [(k.id, k.role, k.name, "expired" if k.expired(now) else _until(k.expires_at)) for k in found]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        return "\n".join(
            "  ".join((*(row[column].ljust(widths[column]) for column in range(3)), row[3])) for row in rows
        )

    typer.echo(_with_keys(context.obj, run))


@keys_cli.command("revoke")
def revoke(context: typer.Context, key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """End a key now; `wsupdates keys list` shows the ids."""

    async def run(keys: Keys) -> str:
        await keys.revoke("command line", key_id)
        return f"revoked {key_id}"

    typer.echo(_with_keys(context.obj, run))


def _with_keys(settings: RegistrySettings, act: Callable[[Keys], Awaitable[str]]) -> str:
    async def run() -> str:
        async with registry.opened(settings) as found:
            if not found.shared and await found.pending():
                lock = FileLock(settings.db_path)
                if lock.take():
                    await registry.ensure_migrated(found, apply=True)
                    lock.release()
            await registry.ensure_migrated(found, apply=False)
            return await act(registry.compose(settings, found).keys)

    return asyncio.run(run())


def _until(moment: float | None) -> str:
    if moment is None:
        return "does not expire"
    return f"until {datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"


def main() -> None:
    """Run the command line; problems of settings are one line and exit status 2."""
    try:
        cli()
    except (SettingsError, StoreUnavailable) as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)
    except Refusal as problem:
        print(problem.message, file=sys.stderr)
        sys.exit(1)

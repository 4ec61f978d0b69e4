"""`wsmesh listen`: a subscriber in the terminal."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import typer

from wsmesh.channels import kind_of, problem_with
from wsmesh.cli import output
from wsmesh.cli.errors import CliError, Code
from wsmesh.cli.options import AppId, AppKey, AppSecret, AsJson
from wsmesh.cli.running import run, target_of
from wsmesh.cli.target import AppAccess, Target
from wsmesh.client import Client, Connected, Event, Item, Lost, Problem, Refused, Subscribed, signer


def listen(
    ctx: typer.Context,
    channels: Annotated[list[str], typer.Argument(metavar="CHANNEL…", help="Channels to join.")],
    count: Annotated[int | None, typer.Option(min=1, help="End after this many events.")] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="End after this many seconds; with --count, exit code 1.")
    ] = None,
    app_id: AppId = None,
    key: AppKey = None,
    secret: AppSecret = None,
    as_json: AsJson = False,
) -> None:
    """Join channels and print what is published: time, channel, event, data, event id.

    Private and presence channels need the app's secret. A lost connection is opened again when the close code allows
    it; that, and everything else that is no event, goes to stderr.

    Examples:

        wsmesh listen news

        wsmesh listen news private-orders --count 10 --timeout 60 --json
    """
    for channel in channels:
        problem = problem_with(channel)
        if problem is not None:
            raise typer.BadParameter(f"{channel!r}: {problem}", param_hint="CHANNEL")
    given = AppAccess(id=app_id, key=key, secret=secret)
    run(_listen(target_of(ctx), given, channels, count, timeout, as_json))


async def _listen(
    target: Target, given: AppAccess, channels: list[str], count: int | None, timeout: float | None, as_json: bool
) -> None:
    seen = 0
    ever = False
    try:
        async with asyncio.timeout(timeout), await _client(target, given, channels) as client:
            await client.subscribe(*channels)
            async for item in client:
                ever = ever or isinstance(item, Connected)
                if isinstance(item, Refused):
                    raise CliError(Code.REFUSED, f"the cluster refused {item.channel}: {item.message}")
                if not isinstance(item, Event):
                    output.say(describe(item))
                    continue
                _show(item, as_json)
                seen += 1
                if seen == count:
                    return
    except TimeoutError:
        if not ever:
            raise CliError(Code.UNREACHABLE, f"no connection to {target.url} in {timeout:g} seconds") from None
        if count is not None:
            raise CliError(Code.NOT_SO, f"{seen} of {count} events came in {timeout:g} seconds") from None


async def _client(target: Target, given: AppAccess, channels: list[str]) -> Client:
    url, tls = target.cluster_url(), target.cluster_tls()
    app = await target.with_key(target.app(given))
    if app.key is None:
        raise CliError(
            Code.USAGE, "WSMESH_APP_KEY: not set, expected the app's public key; or give --app and the registry"
        )
    if app.secret is None and any(kind_of(channel).signed for channel in channels):
        raise CliError(Code.USAGE, "WSMESH_APP_SECRET: not set; private and presence channels need the app's secret")
    authorize = None if app.secret is None else signer(app.key, app.secret)
    return Client(url, app.key, authorize=authorize, tls=tls)


def describe(item: Item) -> str:
    """An item that is no event, as a sentence."""
    match item:
        case Connected(socket_id):
            return f"connected as {socket_id}"
        case Subscribed(channel):
            return f"subscribed to {channel}"
        case Lost(code, reason, wait):
            what = (
                f"closed with {code} ({reason or 'no reason given'})"
                if code is not None
                else f"no connection: {reason}"
            )
            return f"{what}; connecting again {'at once' if wait == 0 else f'in {wait:.1f} s'}"
        case Problem(code, message):
            return f"the server complains: {message}" + ("" if code is None else f" ({code})")
    return str(item)


def _show(event: Event, as_json: bool) -> None:
    now = time.time()
    if as_json:
        line: dict[str, Any] = {"time": now, **event._asdict()}
        output.json_line(line)
        return
    clock = f"{time.strftime('%H:%M:%S', time.localtime(now))}.{int(now % 1 * 1000):03d}"
    parts = (clock, event.channel, event.name, event.data, event.id)
    print("  ".join(output.printable(part) for part in parts if part), flush=True)

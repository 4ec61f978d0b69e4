"""`wsmesh listen`: a subscriber in the terminal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from wsmesh.channels import kind_of, problem_with
from wsmesh.cli import output
from wsmesh.cli.errors import CliError, Code
from wsmesh.cli.options import AppId, AppKey, AppSecret, AsJson
from wsmesh.cli.running import run, target_of
from wsmesh.cli.target import AppAccess, Target
from wsmesh.client import Client, Connected, Event, Item, Lost, Position, Problem, Refused, Subscribed, signer
from wsmesh.position import WrongPosition, format_position, parse_position


def listen(
    ctx: typer.Context,
    channels: Annotated[list[str], typer.Argument(metavar="CHANNEL…", help="Channels to join.")],
    start: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="[CHANNEL:]POSITION",
            help="Begin with what was published after this position, as listen shows it; of one channel, or of all.",
        ),
    ] = None,
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
    it, and what was missed comes first; whether anything is missing, and everything else that is no event, goes to
    stderr. The last line there says how to go on from here later.

    Examples:

        wsmesh listen news

        wsmesh listen news private-orders --count 10 --timeout 60 --json

        wsmesh listen news --from n1~lx3k2f9a:42,n2~lx3k2g11:7
    """
    for channel in channels:
        problem = problem_with(channel)
        if problem is not None:
            raise typer.BadParameter(f"{channel!r}: {problem}", param_hint="CHANNEL")
    positions = positions_of(start or [], channels)
    given = AppAccess(id=app_id, key=key, secret=secret)
    run(_listen(target_of(ctx), given, channels, positions, count, timeout, as_json))


def positions_of(start: list[str], channels: list[str]) -> dict[str, Position]:
    """The position of each channel that `--from` gives one. Raises BadParameter."""
    of_all: dict[str, Position] = {}
    of_one: dict[str, Position] = {}
    for text in start:
        channel, colon, rest = text.partition(":")
        named = bool(colon) and "~" not in channel  # a stream id has a ~, the name of a channel has none
        if named and channel not in channels:
            raise typer.BadParameter(f"{channel[:100]!r} is none of the channels to join", param_hint="--from")
        try:
            position = parse_position(rest if named else text)
        except WrongPosition as problem:
            raise typer.BadParameter(str(problem), param_hint="--from") from None
        if named:
            of_one[channel] = position
        else:
            of_all = dict.fromkeys(channels, position)
    return of_all | of_one


async def _listen(
    target: Target,
    given: AppAccess,
    channels: list[str],
    positions: Mapping[str, Position],
    count: int | None,
    timeout: float | None,
    as_json: bool,
) -> None:
    seen = 0
    ever = False
    client = await _client(target, given, channels)
    try:
        async with asyncio.timeout(timeout), client:
            for channel in channels:
                await client.subscribe(channel, position=positions.get(channel))
            async for item in client:
                ever = ever or isinstance(item, Connected)
                if isinstance(item, Refused):
                    raise CliError(Code.REFUSED, f"the cluster refused {item.channel}: {item.message}")
                if not isinstance(item, Event):
                    output.say(describe(item))
                    continue
                _show(item, client.position(item.channel), as_json)
                seen += 1
                if seen == count:
                    return
    except TimeoutError:
        if not ever:
            raise CliError(Code.UNREACHABLE, f"no connection to {target.url} in {timeout:g} seconds") from None
        if count is not None:
            raise CliError(Code.NOT_SO, f"{seen} of {count} events came in {timeout:g} seconds") from None
    finally:
        here = {channel: client.position(channel) for channel in channels}
        options = [f"--from {name}:{format_position(at)}" for name, at in here.items() if at is not None]
        if ever and options:
            output.say(f"to go on from here: {' '.join(options)}")


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


MISSING = {
    None: "",
    True: ", and nothing is missing",
    False: ", but what was published meanwhile may be missing",
}


def describe(item: Item) -> str:
    """An item that is no event, as a sentence."""
    match item:
        case Connected(socket_id):
            return f"connected as {socket_id}"
        case Subscribed(channel, recovered, members=members):
            present = "" if members is None else f" (present: {', '.join(map(output.printable, members))})"
            return f"subscribed to {channel}{present}{MISSING[recovered]}"
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


def _show(event: Event, position: Position | None, as_json: bool) -> None:
    now = time.time()
    if as_json:
        text = None if position is None else format_position(position)
        line: dict[str, Any] = {"time": now, **event._asdict(), "position": text}
        output.json_line(line)
        return
    clock = f"{time.strftime('%H:%M:%S', time.localtime(now))}.{int(now % 1 * 1000):03d}"
    parts = (clock, event.channel, event.name, event.data, event.id)
    print("  ".join(output.printable(part) for part in parts if part), flush=True)

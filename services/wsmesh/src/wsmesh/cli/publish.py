"""`wsmesh publish`: send events as a back end does."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from wsmesh.cli import output
from wsmesh.cli.errors import CliError, Code
from wsmesh.cli.options import AppId, AppKey, AppSecret, AsJson
from wsmesh.cli.running import run, target_of
from wsmesh.cli.target import AppAccess, Target
from wsmesh.client import Publisher

NUMBER = "{n}"


def publish(
    ctx: typer.Context,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Channel to publish to.")],
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Name of the event.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Its data; - reads it from standard input.")],
    more: Annotated[list[str] | None, typer.Option("--channel", help="One more channel; repeat for more.")] = None,
    acks: Annotated[
        str | None, typer.Option(help="Other nodes that must hold it before the answer: 0, 1, 2 … or all.")
    ] = None,
    socket_id: Annotated[str | None, typer.Option(help="Client that does not get it.")] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Name of this one event, of your making: 1 to 128 printable ASCII characters. When there was no "
            "answer, or too few nodes confirmed, repeat the command with the same key: it makes no second event.",
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help=f"Publish this often; {NUMBER} in DATA and KEY is the number.")
    ] = None,
    interval: Annotated[float, typer.Option(min=0, help="Seconds from one to the next.")] = 1.0,
    app_id: AppId = None,
    publish_key: Annotated[
        str | None,
        typer.Option(
            envvar="WSMESH_PUBLISH_KEY", show_envvar=True, help="Publish key of the app; or give key and secret."
        ),
    ] = None,
    key: AppKey = None,
    secret: AppSecret = None,
    as_json: AsJson = False,
) -> None:
    """Publish an event, and show its id and the nodes that hold it.

    With a publish key it goes as a bearer token, with the app's key and secret the request is signed.

    Examples:

        wsmesh publish news headline '{"title": "It works"}'

        echo '{"total": 3}' | wsmesh publish orders changed - --channel private-orders --acks all

        wsmesh publish orders paid '{"order": 4711}' --idempotency-key order-4711-paid

        wsmesh publish news tick '{"number": {n}}' --count 100 --interval 0.1
    """
    given = AppAccess(id=app_id, key=key, secret=secret, publish_key=publish_key)
    wanted = _acks(acks)
    _check_key(idempotency_key, count)
    text = _standard_input() if data == "-" else data

    def numbered(template: str, number: int) -> str:
        return template if count is None else template.replace(NUMBER, str(number))

    async def work() -> None:
        async with await _publisher(target_of(ctx), given) as publisher:
            for number in range(1, (count or 1) + 1):
                if number > 1:
                    await asyncio.sleep(interval)
                answer = await publisher.publish(
                    [channel, *(more or [])],
                    event,
                    numbered(text, number),
                    acks=wanted,
                    socket_id=socket_id,
                    idempotency_key=None if idempotency_key is None else numbered(idempotency_key, number),
                )
                _show(answer, as_json)

    run(work())


async def _publisher(target: Target, given: AppAccess) -> Publisher:
    url, tls = target.cluster_url(), target.cluster_tls()
    app_id = target.app_id(given.id)
    app = target.app(given)
    if app.publish_key is None and app.secret is not None:
        app = await target.with_key(app)
    if app.publish_key is None and (app.key is None or app.secret is None):
        raise CliError(
            Code.USAGE,
            "WSMESH_PUBLISH_KEY: not set, expected the app's publish key (wsmesh apps publish-key makes one), "
            "or WSMESH_APP_KEY and WSMESH_APP_SECRET",
        )
    return Publisher(url, app_id, publish_key=app.publish_key, key=app.key, secret=app.secret, tls=tls)


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError:
        raise typer.BadParameter("standard input is not UTF-8 text", param_hint="DATA") from None


def _acks(text: str | None) -> int | str | None:
    if text is None or text == "all":
        return text
    if not text.isdecimal():
        raise typer.BadParameter(f"found {text!r}, expected 0, 1, 2 … or all", param_hint="--acks")
    return int(text)


def _check_key(key: str | None, count: int | None) -> None:
    if key is None:
        return
    if not key.isprintable():  # no header can carry a line break; all else the node judges
        raise typer.BadParameter(f"found {key!r}, expected printable characters", param_hint="--idempotency-key")
    if count is not None and NUMBER not in key:
        text = f"found {key!r}, expected {NUMBER} in it: with --count each event needs a key of its own"
        raise typer.BadParameter(text, param_hint="--idempotency-key")


def _show(answer: dict[str, object], as_json: bool) -> None:
    if as_json:
        output.json_line(answer)
        return
    holders = answer.get("acknowledged_by")
    held = f", held by {output.cell(holders)}" if holders else ""
    print(f"published {output.cell(answer.get('id'))}{held}", flush=True)

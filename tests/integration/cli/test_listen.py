"""`wsmesh listen` as a process, against a small server that speaks the protocol."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.cli.cluster import BIN
from tests.integration.cli.pusher_server import Conversation, pusher_server
from tests.support.ports import free_port


@asynccontextmanager
async def listening(folder: Path, url: str, *arguments: str, **environ: str) -> AsyncIterator[Process]:
    """Run `wsmesh listen`."""
    process = await asyncio.create_subprocess_exec(
        BIN / "wsmesh",
        "listen",
        *arguments,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "WSMESH_URL": url, "WSMESH_APP_KEY": "key", **environ},
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(30):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def finished(process: Process) -> tuple[int | None, str, str]:
    """Exit code and output."""
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def tell(client: Conversation) -> None:
    """Take a subscriber and tell it two things."""
    await client.take()
    await client.say("headline", {"a": 1}, channel="news", id="n1~x:1")
    await client.say("\x1b[2Jclear", "\x1b[31mred\n", channel="news", id="n1~x:2")
    await client.socket.wait_closed()


async def stay(client: Conversation) -> None:
    """Take a subscriber and tell it nothing."""
    await client.take()
    await client.socket.wait_closed()


async def test_events_are_lines_for_people(tmp_path: Path) -> None:
    """An event is a line; the rest goes to stderr; what was published cannot steer the terminal."""
    async with pusher_server(tell) as server, listening(tmp_path, server.url, "news", "--count", "2") as process:
        code, out, err = await finished(process)
    assert code == 0
    first, second = out.splitlines()
    assert first.split("  ")[1:] == ["news", "headline", '{"a": 1}', "n1~x:1"]
    assert second.split("  ")[1:] == ["news", "\\x1b[2Jclear", '"\\u001b[31mred\\n"', "n1~x:2"]
    assert err == "connected as 1.2\nsubscribed to news\n"


async def test_events_are_json_lines_for_scripts(tmp_path: Path) -> None:
    """With --json each event is a line of JSON, written at once."""
    async with pusher_server(tell) as server, listening(tmp_path, server.url, "news", "--json") as process:
        assert process.stdout is not None
        line = json.loads(await process.stdout.readline())
    assert line.pop("time") > 1_700_000_000
    assert line == {
        "channel": "news",
        "name": "headline",
        "data": '{"a": 1}',
        "id": "n1~x:1",
        "user_id": None,
        "position": None,
    }


async def recover(client: Conversation) -> None:
    """Take a subscriber who asks for a position, and tell it one event that it missed and one that is new."""
    await client.say("pusher:connection_established", {"socket_id": "1.2", "activity_timeout": 30})
    asked = (await client.hear())["data"]
    answer = {"recovered": bool(asked["position"]), "position": {"n1~x": 7, "n2~y": 1}}
    await client.say("pusher_internal:subscription_succeeded", answer, channel=asked["channel"])
    if asked["position"]:
        await client.say("missed", asked["position"], channel=asked["channel"], id="n1~x:7")
    await client.say("new", {}, channel=asked["channel"], id="n1~x:8")
    await client.socket.wait_closed()


async def test_it_goes_on_from_a_position(tmp_path: Path) -> None:
    """The position that the last line tells, or that of an event, is one to begin with later."""
    async with pusher_server(recover) as server:
        async with listening(tmp_path, server.url, "news", "--count", "1") as process:
            code, _, err = await finished(process)
        assert code == 0
        assert err.splitlines()[-1] == "to go on from here: --from news:n1~x:8,n2~y:1"
        start = "n1~x:6,n2~y:1"
        async with listening(tmp_path, server.url, "news", "--count", "2", "--json", "--from", start) as process:
            code, out, err = await finished(process)
    assert code == 0
    missed, new = map(json.loads, out.splitlines())
    assert json.loads(missed["data"]) == {"n1~x": 6, "n2~y": 1}
    assert (missed["position"], new["position"]) == ("n1~x:7,n2~y:1", "n1~x:8,n2~y:1")
    assert err.splitlines()[1] == "subscribed to news, and nothing is missing"


async def test_too_few_events_in_time(tmp_path: Path) -> None:
    """With --count, a timeout is exit code 1; without, it is the end that was asked for."""
    async with pusher_server(stay) as server:
        async with listening(tmp_path, server.url, "news", "--count", "2", "--timeout", "4") as process:
            code, out, err = await finished(process)
        assert (code, out) == (1, "")
        assert err.endswith("wsmesh: 0 of 2 events came in 4 seconds\n")
        async with listening(tmp_path, server.url, "news", "--timeout", "4") as process:
            assert (await finished(process))[0] == 0


async def test_a_close_is_told_and_the_connection_opened_again(tmp_path: Path) -> None:
    """A lost connection is told on stderr, and events go on."""

    async def move(client: Conversation) -> None:
        await client.take()
        await client.close(4200, "node drains")

    async with pusher_server(move, tell) as server, listening(tmp_path, server.url, "news", "--count", "1") as process:
        code, out, err = await finished(process)
    assert code == 0
    assert out.count("\n") == 1
    assert "closed with 4200 (node drains); connecting again at once\n" in err


async def test_a_close_for_good_is_an_error(tmp_path: Path) -> None:
    """After 4001 the command ends with exit code 3 and one line."""

    async def refuse(client: Conversation) -> None:
        await client.close(4001, "no app with this key")

    async with pusher_server(refuse) as server, listening(tmp_path, server.url, "news") as process:
        assert await finished(process) == (
            3,
            "",
            "wsmesh: the cluster closed the connection for good: no app with this key (4001)\n",
        )


async def test_a_refused_subscription_is_an_error(tmp_path: Path) -> None:
    """A channel that may not be joined ends the command with exit code 3."""

    async def refuse(client: Conversation) -> None:
        await client.say("pusher:connection_established", {"socket_id": "1.2", "activity_timeout": 30})
        await client.hear()
        await client.say("pusher:subscription_error", {"type": "AuthError", "error": "wrong"}, channel="private-a")
        await client.socket.wait_closed()

    async with (
        pusher_server(refuse) as server,
        listening(tmp_path, server.url, "private-a", WSMESH_APP_SECRET="s") as process,
    ):
        code, out, err = await finished(process)
    assert (code, out) == (3, "")
    assert err == "connected as 1.2\nwsmesh: the cluster refused private-a: wrong\n"


async def test_nobody_there_until_the_timeout(tmp_path: Path) -> None:
    """A cluster that never answered is exit code 4."""
    url = f"http://127.0.0.1:{free_port()}"
    async with listening(tmp_path, url, "news", "--timeout", "1") as process:
        code, _, err = await finished(process)
    assert code == 4
    assert err.startswith("no connection: the connection was refused; connecting again in ")
    assert err.endswith(f"wsmesh: no connection to {url} in 1 seconds\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
async def test_a_signal_ends_it_quietly(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """Ctrl-C, or a kill, ends the command without a traceback."""
    async with pusher_server(stay) as server, listening(tmp_path, server.url, "news") as process:
        assert process.stderr is not None
        assert await process.stderr.readline() == b"connected as 1.2\n"
        assert await process.stderr.readline() == b"subscribed to news\n"
        process.send_signal(number)
        assert await finished(process) == (code, "", "")


async def test_ctrl_c_tells_how_to_go_on(tmp_path: Path) -> None:
    """After Ctrl-C the last line is the position."""
    async with pusher_server(recover) as server, listening(tmp_path, server.url, "news") as process:
        assert process.stdout is not None
        await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        code, _, err = await finished(process)
    assert code == 130
    assert err.splitlines()[-1] == "to go on from here: --from news:n1~x:8,n2~y:1"


async def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    """`wsmesh listen … | head -1` ends without a traceback."""

    async def talk(client: Conversation) -> None:
        await client.take()
        while True:
            await client.say("x", channel="news")
            await asyncio.sleep(0.01)

    async with pusher_server(talk) as server:
        process = await asyncio.create_subprocess_shell(
            f"{BIN / 'wsmesh'} listen news 2>errors | head -1",
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "WSMESH_URL": server.url, "WSMESH_APP_KEY": "key"},
            stdout=PIPE,
        )
        async with asyncio.timeout(30):
            out, _ = await process.communicate()
    assert out.count(b"\n") == 1
    assert (tmp_path / "errors").read_text() == "connected as 1.2\nsubscribed to news\n"


@pytest.mark.parametrize(
    ("arguments", "environ", "text"),
    [
        (["a b"], {}, "'a b': a channel name may only have the characters A-Z a-z 0-9 _ - = @ , . ;"),
        (["private-a"], {}, "WSMESH_APP_SECRET: not set; private and presence channels need the app's secret"),
        (["news"], {"WSMESH_APP_KEY": ""}, "WSMESH_APP_KEY: not set, expected the app's public key"),
        (["news"], {"WSMESH_URL": ""}, "WSMESH_URL: not set, expected https://host"),
        (["news", "--count", "0"], {}, "--count"),
        (["news", "--from", "42"], {}, "the position has '42', expected STREAM:NUMBER,STREAM:NUMBER"),
        (["news", "--from", "news:n1~a:x"], {}, "the number of n1~a in the position must be a whole number from 0 to"),
        (["news", "--from", "sport:n1~a:1"], {}, "'sport' is none of the channels to join"),
    ],
)
async def test_wrong_usage(tmp_path: Path, arguments: list[str], environ: dict[str, str], text: str) -> None:
    """What is wrong or missing is said before anything is opened."""
    async with listening(tmp_path, "http://127.0.0.1:1", *arguments, COLUMNS="200", **environ) as process:
        code, out, err = await finished(process)
    assert (code, out) == (2, "")
    assert text in err
    assert "Traceback" not in err

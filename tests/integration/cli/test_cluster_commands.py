"""`publish`, `listen` and `status` against a real node and a real registry."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli import cluster
from tests.integration.cli.cluster import Command, Registry, until
from tests.support.ports import free_port
from wsmesh.client import Publisher, SyncPublisher

App = dict[str, Any]


@pytest.fixture
def here(wsmesh: Command, node: str, app: App) -> Command:
    """The command, told of the node and the app, which the node knows by then."""
    environ = {
        **wsmesh.environ,
        "WSMESH_URL": node,
        "WSMESH_APP": app["id"],
        "WSMESH_APP_KEY": app["key"],
        "WSMESH_APP_SECRET": app["secret"],
    }
    command = Command(wsmesh.folder, environ)
    until("the node knows the app", lambda: command("publish", "warm-up", "x", "").code == 0)
    return command


def test_signed_and_by_bearer(here: Command, app: App) -> None:
    """An event is published with the app's key and secret, and with its publish key."""
    signed = here("publish", "news", "headline", '{"a": 1}', "--json").json
    bearer = here("publish", "news", "headline", "x", "--json", WSMESH_PUBLISH_KEY=app["publish_key"]).json
    assert signed["id"].startswith("n1~")
    assert signed["acknowledged_by"] == []
    stream, _, number = signed["id"].rpartition(":")
    assert bearer["id"] == f"{stream}:{int(number) + 1}"
    text = here("publish", "news", "headline", "x", WSMESH_APP_SECRET="", WSMESH_PUBLISH_KEY=app["publish_key"])
    assert (text.code, text.out, text.err) == (0, f"published {stream}:{int(number) + 2}\n", "")


def test_what_is_published_is_heard(here: Command) -> None:
    """`listen` prints what `publish` sends, in order, from private channels too, with the ids that it showed."""
    heard = Listening(here, "news", "private-orders", "--count", "4")
    ids = []
    for arguments in (
        ["news", "headline", '{"title": "Größe"}'],
        ["private-orders", "changed", "-", "--channel", "news"],
        ["news", "tick", "{n}", "--count", "1"],
    ):
        ids.append(here("publish", *arguments, "--json", stdin="from stdin\n").json["id"])
    events = [(line["channel"], line["name"], line["data"], line["id"]) for line in heard.lines()]
    assert sorted(events, key=lambda event: (event[3], event[0])) == [
        ("news", "headline", '{"title": "Größe"}', ids[0]),
        ("news", "changed", "from stdin", ids[1]),
        ("private-orders", "changed", "from stdin", ids[1]),
        ("news", "tick", "1", ids[2]),
    ]
    assert [event[3] for event in events if event[0] == "news"] == ids


def test_listening_goes_on_from_a_position(here: Command) -> None:
    """What was published since a position is printed by another `listen` later, which says that nothing is missing."""
    heard = Listening(here, "news", "--count", "1")
    here("publish", "news", "tick", "1")
    (first,) = heard.lines()
    here("publish", "news", "tick", "{n}", "--count", "2", "--interval", "0")
    found = here("listen", "news", "--count", "2", "--timeout", "30", "--json", "--from", f"news:{first['position']}")
    assert [json.loads(line)["data"] for line in found.out.splitlines()] == ["1", "2"]
    connected, subscribed, last = found.err.splitlines()
    assert connected.startswith("connected as ")
    assert subscribed == "subscribed to news, and nothing is missing"
    assert last == f"to go on from here: --from news:{json.loads(found.out.splitlines()[-1])['position']}"


def test_the_public_key_is_asked_of_the_registry(here: Command) -> None:
    """Who has the registry's key and the app's secret need not know the public key."""
    assert here("publish", "news", "x", "y", WSMESH_APP_KEY="").code == 0
    assert here("listen", "news", "--timeout", "4", WSMESH_APP_KEY="").err.startswith("connected as ")


def test_numbered_messages(here: Command) -> None:
    """With --count the number is put into each message, and each has an id of its own."""
    heard = Listening(here, "ticks", "--count", "3")
    sent = here("publish", "ticks", "tick", '{"n": {n}}', "--count", "3", "--interval", "0", "--json")
    ids = [json.loads(line)["id"] for line in sent.out.splitlines()]
    assert [(line["data"], line["id"]) for line in heard.lines()] == [
        (f'{{"n": {number}}}', event) for number, event in enumerate(ids, 1)
    ]


def test_repeating_with_an_idempotency_key(here: Command) -> None:
    """The command with the same key is answered with the same id, and what it published is heard once."""
    heard = Listening(here, "orders", "--count", "3")
    once = ["publish", "orders", "paid", "1", "--json", "--idempotency-key", "order-1"]
    first, again = (here(*once).json["id"] for _ in range(2))
    assert again == first
    many = ["publish", "orders", "paid", "{n}", "--json", "--count", "2", "--interval", "0"]
    others, repeated = (here(*many, "--idempotency-key", "other-{n}").out for _ in range(2))
    assert repeated == others
    ids = [first, *(json.loads(line)["id"] for line in others.splitlines())]
    assert len(set(ids)) == 3
    assert [(line["data"], line["id"]) for line in heard.lines()] == list(zip(["1", "1", "2"], ids, strict=True))
    conflict = here(*once[:3], "2", "--idempotency-key", "order-1")
    assert conflict.code == 3
    assert "idempotency_conflict" in conflict.err


def test_a_publisher_repeats(here: Command, app: App) -> None:
    """Publishers with the same key are answered with the same id, async and sync ones, each over its own connection."""
    url, show = here.environ["WSMESH_URL"], app["publish_key"]

    async def publish(key: str | None) -> object:
        async with Publisher(url, app["id"], publish_key=show) as publisher:
            return (await publisher.publish(["news"], "e", "1", idempotency_key=key))["id"]

    first, again, other = (asyncio.run(publish(key)) for key in ("k", "k", None))
    with SyncPublisher(url, app["id"], publish_key=show) as publisher:
        sync = publisher.publish(["news"], "e", "1", idempotency_key="k")["id"]
    assert first == again == sync != other


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "text"),
    [
        (["a b", "x", ""], {}, 3, "a channel name may only have the characters"),
        (["news", "x", "y" * 20_000], {}, 3, "10240"),
        (["news", "x", "y"], {"WSMESH_APP_SECRET": "wrong secret, very wrong"}, 3, "auth_signature"),
        (["news", "x", "y", "--acks", "5"], {}, 3, "acks"),
        (["news", "x", "y", "--app", "unknown"], {}, 3, "unknown"),
        (["news", "x", "y", "--idempotency-key", "ü"], {}, 3, "1 to 128 printable ASCII characters"),
        (["news", "x", "y", "--idempotency-key", "a\nb"], {}, 2, "expected printable characters"),
        (["news", "x", "y", "--idempotency-key", "k", "--count", "2"], {}, 2, "expected {n} in it"),
        (["news", "x", "y", "--acks", "most"], {}, 2, "found 'most', expected 0, 1, 2 … or all"),
        (["news", "x", "y"], {"WSMESH_APP_SECRET": ""}, 2, "WSMESH_PUBLISH_KEY: not set"),
        (["news", "x", "y"], {"WSMESH_APP": ""}, 2, "--app: not given"),
        (
            ["news", "x", "y"],
            {"WSMESH_URL": "http://127.0.0.1:1"},
            4,
            "wsmesh: the cluster gives no answer: connection refused\n",
        ),
    ],
)
def test_a_publish_that_fails(
    here: Command, arguments: list[str], environ: dict[str, str], code: int, text: str
) -> None:
    """What is wrong is said, with the exit code that tells whose fault it is."""
    found = here("publish", *arguments, **environ)
    assert (found.code, found.out) == (code, "")
    assert text in found.err


def test_standard_input_that_is_no_text(here: Command) -> None:
    """Data must be text."""
    found = here("publish", "news", "x", "-", stdin=b"\xff\xfe")
    assert found.code == 2
    assert "standard input is not UTF-8 text" in found.err


def test_a_url_of_something_else(here: Command, registry: Registry) -> None:
    """A URL that is not the cluster's is said to be wrong."""
    found = here("publish", "news", "x", "y", WSMESH_URL=registry.url)
    assert found.code == 3
    assert "there is no /apps/" in found.err


def test_status_of_a_healthy_cluster(wsmesh: Command, node: str) -> None:
    """All is well: exit code 0, and each node with its figures."""
    until("the node is ready", lambda: wsmesh("status").code == 0)
    found = wsmesh("status", "--json").json
    assert found["healthy"] is True
    assert found["registry"]["ready"] is True
    assert found["registry"]["generation"] > 0
    (one,) = found["nodes"]
    assert (one["id"], one["state"], one["ready"], one["reasons"]) == ("n1", "ready", True, [])
    assert f"http://{one['client_address']}" == node
    text = wsmesh("status").out
    assert text.startswith("registry: ready, generation ")
    assert "n1" in text


def test_status_of_a_node_that_is_gone(tmp_path: Path) -> None:
    """A node whose lease ran out, or that does not answer, makes the cluster unhealthy, with the reason."""
    with cluster.registry(tmp_path) as registry:
        command = Command(tmp_path, {"WS_UPDATES_URL": registry.url, "WS_UPDATES_KEY": registry.admin_key})
        assert command("status").code == 1
        key = command("keys", "create", "n", "--role", "node", "--json").json["key"]
        address = f"127.0.0.1:{free_port()}"
        cluster.post(
            f"{registry.url}/api/v1/nodes",
            key,
            {
                "id": "n9",
                "run": "n9~1",
                "location": "a",
                "client_address": address,
                "mesh_address": "http://127.0.0.1:9",
            },
        )
        found = command("status", "--json")
        assert found.code == 1
        (one,) = found.json["nodes"]
        assert one["ready"] is False
        assert one["reasons"] == [f"http://{address} gives no answer: connection refused"]
        assert "gives no answer" in command("status").out


def test_status_without_a_registry(wsmesh: Command) -> None:
    """A registry that does not answer is not healthy, and that is the answer."""
    found = wsmesh("status", WS_UPDATES_URL=f"http://127.0.0.1:{free_port()}")
    assert found.code == 1
    assert found.out.startswith("registry: not ready: the registry cannot be reached at ")


def test_status_with_a_wrong_key(wsmesh: Command) -> None:
    """A wrong key says nothing about the cluster: exit code 3."""
    found = wsmesh("status", WS_UPDATES_KEY="wrong")
    assert (found.code, found.out) == (3, "")


class Listening:
    """`wsmesh listen --json` beside the test."""

    def __init__(self, command: Command, *arguments: str) -> None:
        self._process = command.start("listen", *arguments, "--json", "--timeout", "30")
        assert self._process.stderr is not None
        channels = sum(not argument.startswith("-") and not argument.isdecimal() for argument in arguments)
        self._told = [self._process.stderr.readline() for _ in range(1 + channels)]

    def lines(self) -> list[dict[str, Any]]:
        """Everything that it printed, when it has ended."""
        out, err = self._process.communicate(timeout=40)
        assert self._process.returncode == 0, err
        return [json.loads(line) for line in out.splitlines()]

"""The contract between the services survives the wire, and refuses what it does not allow."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from wsmesh.answers import error_of
from wsmesh.contract import (
    App,
    AppLimits,
    ChannelRule,
    ClusterConfig,
    ErrorBody,
    Figures,
    Heartbeat,
    Lease,
    Node,
    Registration,
    Slot,
    Slots,
    Webhook,
    error_answer,
)

NODE = {
    "id": "n1",
    "run": "n1~abc",
    "slot": 3,
    "location": "here",
    "client_address": "[::1]:7000",
    "mesh_address": "https://n1:7100",
}
REGISTRATION = {name: value for name, value in NODE.items() if name != "slot"}
RULE = ChannelRule(pattern="news-*", history_messages=5, cache=True)
APP = App(id="1", key="k", secret="s", publish_keys=["ab"], limits=AppLimits(max_connections=2), rules=[RULE])
HOOKED = msgspec.structs.replace(APP, webhooks=[Webhook(name="orders", url="https://shop.example/", channels="o-*")])


@pytest.mark.parametrize(
    "value",
    [
        RULE,
        APP,
        HOOKED,
        ClusterConfig(generation=7, nodes=[msgspec.convert(NODE, Node)], apps=[APP]),
        msgspec.convert(REGISTRATION, Registration),
        Heartbeat(run="n1~abc", state="draining", figures=Figures(connections=4)),
        Lease(slot=1, lease_seconds=7.5, generation=2),
        Slots(
            generation=3,
            slots=[Slot(slot=1, node="n1", location="here", host="::1", port=1, weight=0, state="ready")],
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_round_trip(value: msgspec.Struct) -> None:
    """What one side encodes, the other decodes to the same."""
    assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


@pytest.mark.parametrize("kind", [Node, Registration, App, ClusterConfig, Lease, Slots, Heartbeat])
def test_a_newer_side_may_add_fields(kind: type[msgspec.Struct]) -> None:
    """An unknown field does not make an older side refuse the message."""
    least: dict[str, Any] = {**NODE, "key": "k", "secret": "s", "generation": 1, "lease_seconds": 1}
    assert msgspec.convert({**least, "added_later": {"x": 1}}, kind) == msgspec.convert(least, kind)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "-n"),
        ("id", "a b"),
        ("id", "n" * 65),
        ("id", "n1\n"),
        ("location", "über"),
        ("mesh_address", "https://n1:7100\n"),
        ("client_address", "n1:7000\n"),
        ("run", "n1"),
        ("client_address", "host"),
        ("client_address", "::1:7000"),
        ("client_address", "http://host:1"),
        ("client_address", "host:123456"),
        ("mesh_address", "n1:7100"),
        ("mesh_address", "https://n1:7100/path"),
        ("weight", -1),
        ("weight", 257),
        ("weight", "100"),
    ],
)
def test_a_bad_registration_is_refused(field: str, value: object) -> None:
    """A registration with a field out of form is refused, and the text names the field."""
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{field}"):
        msgspec.convert({**REGISTRATION, field: value}, Registration)


@pytest.mark.parametrize(
    "change",
    [
        {"pattern": ""},
        {"pattern": "a b"},
        {"pattern": "#x"},
        {"history_messages": 10_001},
        {"history_bytes": -1},
        {"history_bytes": 2**34 + 1},
        {"cache": 1},
    ],
)
def test_a_bad_rule_is_refused(change: dict[str, Any]) -> None:
    """A channel rule out of bounds is refused."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"pattern": "a", **change}, ChannelRule)


def test_a_rule_of_an_older_registry_bounds_no_bytes() -> None:
    """A rule that says nothing of bytes leaves them to the node's own bound."""
    assert msgspec.json.decode(b'{"pattern": "a", "history_messages": 5}', type=ChannelRule).history_bytes == 0


def test_apps_do_not_share_their_lists() -> None:
    """The default lists of two apps are two lists."""
    one, other = App(id="1", key="k", secret="s"), App(id="2", key="l", secret="s")
    one.rules.append(RULE)
    assert other.rules == []


def test_an_error_has_its_documented_shape() -> None:
    """An error's body is `{"error": {"code", "message", "field"}}`."""
    body = json.loads(error_answer("schema", "too long", "name"))
    assert body == {"error": {"code": "schema", "message": "too long", "field": "name"}}


def test_an_error_is_read_back() -> None:
    """What `error_answer` writes, `error_of` reads."""
    assert error_of(422, error_answer("schema", "too long", "name")) == ErrorBody(
        code="schema", message="too long", field="name"
    )


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"<html>503 Service Unavailable</html>", "the answer was HTTP 503 without an explanation"),
        (b"", "the answer was HTTP 503 without an explanation"),
        (b"\xff\xfe", "��"),
        (b"no\n server", "no server"),
        (b'{"error": "text"}', '{"error": "text"}'),
        (b"x" * 1000, "x" * 200),
    ],
)
def test_an_answer_of_somebody_else_becomes_an_error(raw: bytes, message: str) -> None:
    """HAProxy's page, or anything else that is not ours, becomes an error with its status."""
    assert error_of(503, raw) == ErrorBody(code="http_503", message=message)


def test_apps_of_a_registry_without_webhooks() -> None:
    """An app that a registry of the version before sends has no webhooks."""
    older = json.loads(msgspec.json.encode(APP))
    del older["webhooks"]
    assert msgspec.json.decode(json.dumps(older), type=App) == APP


def test_webhook_events_of_a_newer_registry() -> None:
    """A webhook that names an event which this version does not know is read, as are all others."""
    newer = {"name": "a", "url": "https://a.example/", "events": ["channel_occupied", "moon_full"], "more": 1}
    assert msgspec.convert(newer, Webhook).events == ("channel_occupied", "moon_full")

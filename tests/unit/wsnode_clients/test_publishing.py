"""Publishing through the API: who gets what, and what is refused."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.unit.wsnode_clients.publish_api import APP, EVENT, Mesh, api, failure
from tests.unit.wsnode_clients.serving import serve, until
from wsmesh.signature import user_auth
from wsnode.domain.messages import Event
from wsnode.publishing import (
    Publishing,
)
from wsnode.web.publish_api import MAX_BODY_BYTES


async def test_a_publish_reaches_the_subscribers_and_says_who_holds_it() -> None:
    """The answer has the event id and the nodes; the subscriber gets the event with that id."""
    async with api() as a, a.node.client() as client:
        a.mesh.peers = {"n2": {}}
        await client.subscribe("news")
        body = {"name": "hello", "channels": ["news", "news", "other"], "data": '{"x":"ü"}'}
        assert await a.call("POST", "/apps/1/events", body) == (200, {"id": "n1~abc:1", "acknowledged_by": ["n2"]})
        assert await client.hear() == {"event": "hello", "channel": "news", "data": '{"x":"ü"}', "id": "n1~abc:1"}
        assert a.node.published == [Event("1", ["news", "other"], "hello", '{"x":"ü"}')]
        assert a.mesh.acks == [None]


async def test_one_channel_may_be_named_alone_and_a_socket_left_out() -> None:
    """`channel` is as good as `channels`; `socket_id` does not get the event back."""
    async with api() as a, a.node.client() as one, a.node.client() as two:
        for client in (one, two):
            await client.subscribe("news")
        for number, socket_id in enumerate((one.socket_id, None)):
            body = {"name": "hello", "channel": "news", "data": str(number), "socket_id": socket_id}
            assert (await a.call("POST", "/apps/1/events", body))[0] == 200
        assert [(await two.hear())["data"], (await two.hear())["data"]] == ["0", "1"]
        assert (await one.hear())["data"] == "1"


async def test_a_batch_is_published_in_order() -> None:
    """Each event of a batch gets its own id, in the order of the batch."""
    async with api() as a, a.node.client() as client:
        await client.subscribe("news")
        batch = [{"name": "hello", "channel": "news", "data": str(number)} for number in range(10)]
        status, answer = await a.call("POST", "/apps/1/batch_events", {"batch": batch})
        assert (status, answer) == (
            200,
            {"batch": [{"id": f"n1~abc:{number}", "acknowledged_by": []} for number in range(1, 11)]},
        )
        assert [(await client.hear())["data"] for _ in range(10)] == [str(number) for number in range(10)]


@pytest.mark.parametrize(
    ("body", "query", "acks"),
    [
        ({"acks": 2}, "", 2),
        ({"acks": 0}, "?acks=2", 0),
        ({"acks": "all"}, "", "all"),
        ({}, "?acks=all", "all"),
        ({}, "?acks=1", 1),
        ({}, "", None),
    ],
)
async def test_the_publisher_says_how_many_nodes_must_hold_an_event(
    body: dict[str, Any], query: str, acks: object
) -> None:
    """`acks` comes in the body or the query, and the body's counts."""
    async with api() as a:
        a.mesh.peers = {"n2": {}, "n3": {}}
        event = {"name": "a", "channel": "b", "data": "c"} | body
        assert (await a.call("POST", f"/apps/1/events{query}", event))[0] == 200
        assert (await a.call("POST", f"/apps/1/batch_events{query}", {"batch": [event]}))[0] == 200
        assert a.mesh.acks == [acks, acks]


async def test_too_few_acknowledgements() -> None:
    """503 says which events are held by how many; all of a batch are on their way nevertheless."""
    async with api() as a:
        a.mesh.peers = {"n2": {}}
        event = {"name": "a", "channel": "b", "data": "c", "acks": 3}
        text = (
            "n1~abc:1 is held by 1 other nodes, 3 were asked for; it is on its way; "
            "sent again it makes a second one, unless both carry the same X-Idempotency-Key"
        )
        assert await a.call("POST", "/apps/1/events", event) == (503, failure("insufficient_acks", text))
        batch = {"batch": [event, event | {"acks": 0}]}
        status, answer = await a.call("POST", "/apps/1/batch_events", batch)
        assert (status, answer["error"]["code"], len(a.node.published)) == (503, "insufficient_acks", 3)


BAD_EVENTS = [
    (b"", 400, failure("invalid_json", "the body is not valid JSON")),
    (b"{", 400, failure("invalid_json", "the body is not valid JSON")),
    (b'{"name":"\xff","data":"d","channel":"c"}', 400, failure("invalid_json", "the body is not valid JSON")),
    (b'{"x":' + b"[" * 100_000, 400, failure("invalid_json", "the body is not valid JSON")),
    (b"[]", 400, failure("invalid_body", "Expected `object`, got `array`")),
    ({"data": "d", "channel": "c"}, 400, failure("invalid_body", "this field is required", "name")),
    ({"name": "n", "channel": "c"}, 400, failure("invalid_body", "this field is required", "data")),
    ({"name": 1, "data": "d", "channel": "c"}, 400, failure("invalid_body", "Expected `str`, got `int`", "name")),
    (
        {"name": "n", "data": {"x": 1}, "channel": "c"},
        400,
        failure("invalid_body", "Expected `str`, got `object`", "data"),
    ),
    (
        {"name": "n", "data": "d", "channels": ["a", 1]},
        400,
        failure("invalid_body", "Expected `str`, got `int`", "channels[1]"),
    ),
    (
        {"name": "", "data": "d", "channel": "c"},
        400,
        failure("invalid_name", "the name of an event has 1 to 200 characters", "name"),
    ),
    (
        {"name": "n" * 201, "data": "d", "channel": "c"},
        400,
        failure("invalid_name", "the name of an event has 1 to 200 characters", "name"),
    ),
    (
        {"name": "pusher:error", "data": "d", "channel": "c"},
        400,
        failure("invalid_name", "names that begin with pusher: are the protocol's own", "name"),
    ),
    ({"name": "n", "data": "d"}, 400, failure("invalid_channel", "give either channels or channel", "channels")),
    (
        {"name": "n", "data": "d", "channel": "a", "channels": ["b"]},
        400,
        failure("invalid_channel", "give either channels or channel", "channels"),
    ),
    (
        {"name": "n", "data": "d", "channels": []},
        400,
        failure("invalid_channel", "an event goes to at least one channel", "channels"),
    ),
    (
        {"name": "n", "data": "d", "channels": [f"c{number}" for number in range(101)]},
        400,
        failure("too_many_channels", "an event goes to at most 100 channels, this one names 101", "channels"),
    ),
    (
        {"name": "n", "data": "d", "channels": ["ok", "not ok"]},
        400,
        failure(
            "invalid_channel", "a channel name may only have the characters A-Z a-z 0-9 _ - = @ , . ;", "channels[1]"
        ),
    ),
    (
        {"name": "n", "data": "d", "channel": ""},
        400,
        failure("invalid_channel", "a channel name is a string of 1 to 164 characters", "channel"),
    ),
    (
        {"name": "n", "data": "d", "channel": "c" * 165},
        400,
        failure("invalid_channel", "the channel name has 165 characters, at most 164 are allowed", "channel"),
    ),
    (
        {"name": "n", "data": "ü" * 5121, "channel": "c"},
        413,
        failure("data_too_large", "the data has 10242 bytes, at most 10240 are allowed for c", "data"),
    ),
    (
        {"name": "n", "data": "123456", "channels": ["c", "small-a"]},
        413,
        failure("data_too_large", "the data has 6 bytes, at most 5 are allowed for small-a", "data"),
    ),
    (
        {"name": "n", "data": "d", "channel": "c", "socket_id": "me"},
        400,
        failure("invalid_socket_id", "a socket id looks like 123.456", "socket_id"),
    ),
    (
        {"name": "n", "data": "d", "channel": "c", "info": "age"},
        400,
        failure("invalid_info", "info may ask for subscription_count, user_count", "info"),
    ),
    (
        {"name": "n", "data": "d", "channel": "c", "info": "user_count"},
        400,
        failure("invalid_info", "only presence channels have a user_count", "info"),
    ),
    (
        {"name": "n", "data": "d", "channel": "c", "acks": -1},
        400,
        failure("invalid_acks", "acks is 0, 1, 2 … or all", "acks"),
    ),
]


@pytest.mark.parametrize(("body", "status", "answer"), BAD_EVENTS)
async def test_a_wrong_event_is_refused_and_nothing_is_published(body: object, status: int, answer: Any) -> None:
    """Each mistake gets its own answer that names the field, alone or as the second event of a batch."""
    async with api() as a:
        assert await a.call("POST", "/apps/1/events", body) == (status, answer)
        if isinstance(body, dict):
            batch = {"batch": [{"name": "a", "channel": "b", "data": "c"}, body]}
            answer["error"]["field"] = f"batch[1].{answer['error']['field']}"
            assert await a.call("POST", "/apps/1/batch_events", batch) == (status, answer)
        assert a.node.published == []


async def test_the_largest_data_of_a_rule_may_be_more_than_the_apps() -> None:
    """A rule with a larger limit allows what the app's limit would not."""
    async with api() as a:
        body = {"name": "n", "data": "x" * 20_000, "channel": "big-a"}
        assert (await a.call("POST", "/apps/1/events", body))[0] == 200


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"batch": []}, failure("invalid_body", "a batch has 1 to 10 events, this one has 0", "batch")),
        (
            {"batch": [{"name": "a", "channel": "b", "data": "c"}] * 11},
            failure("too_many_events", "a batch has 1 to 10 events, this one has 11", "batch"),
        ),
        ({}, failure("invalid_body", "this field is required", "batch")),
        ({"batch": {}}, failure("invalid_body", "Expected `array`, got `object`", "batch")),
    ],
)
async def test_a_wrong_batch_is_refused(body: object, answer: Any) -> None:
    """A batch has one to ten events."""
    async with api() as a:
        assert await a.call("POST", "/apps/1/batch_events", body) == (400, answer)


async def test_a_wrong_acks_parameter_is_refused() -> None:
    """`acks` in the query is a number or `all`."""
    async with api() as a:
        body = {"name": "n", "data": "d", "channel": "c"}
        for text in ("x", "-1", "1.5", "²", "1" * 9):
            assert await a.call("POST", f"/apps/1/events?acks={text}", body) == (
                400,
                failure("invalid_acks", "acks is 0, 1, 2 … or all", "acks"),
            )


async def test_a_body_that_is_too_large_is_refused() -> None:
    """A request has a largest size, whatever it holds."""
    async with api() as a:
        reader, writer = await asyncio.open_connection("127.0.0.1", a.node.port)
        head = f"POST /apps/1/events HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
        writer.write(head.encode())
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert answer.endswith(
            b'{"error":{"code":"too_large","message":"Request body exceeds the size limit","field":null}}'
        )


async def test_a_publish_can_ask_for_numbers() -> None:
    """With `info`, the answer has the subscribers of each channel, of all nodes."""
    async with api() as a, a.node.client() as client:
        await client.subscribe("a")
        a.mesh.peers = {"n2": {"a": 1, "b": 1, "c": 7}}
        body = {"name": "n", "data": "d", "channels": ["a", "b"], "info": "subscription_count"}
        numbers = {"a": {"subscription_count": 2}, "b": {"subscription_count": 1}}
        status, answer = await a.call("POST", "/apps/1/events", body)
        assert (status, answer["channels"]) == (200, numbers)
        batch = [body | {"channels": ["a"]}, {"name": "n", "data": "d", "channel": "b"}]
        status, answer = await a.call("POST", "/apps/1/batch_events", {"batch": batch})
        assert [one.get("subscription_count") for one in answer["batch"]] == [2, None]


async def test_a_user_is_disconnected_everywhere() -> None:
    """The route puts a message on the stream, which ends the user's connections on each node."""
    async with api() as a, a.node.client() as client:
        data = '{"id":"u1"}'
        await client.say(
            "pusher:signin", {"user_data": data, "auth": user_auth("key", "secret", client.socket_id, data)}
        )
        await client.hear()
        status, answer = await a.call("POST", "/apps/1/users/u1/terminate_connections", {})
        assert (status, answer) == (200, {"id": "n1~abc:1", "acknowledged_by": []})
        assert (await client.hear())["data"]["code"] == 4009
        await until(lambda: not a.node.clients.connections)
        assert a.node.clients.closed == {4009: 1}
        assert await a.call("POST", "/apps/1/users/%20/terminate_connections") == (
            400,
            failure("invalid_user", "a user id has 1 to 200 of the characters A-Z a-z 0-9 _ - = @ , . ;", "user"),
        )


async def test_counts_of_what_was_published() -> None:
    """The use case counts accepted events, and those that too few nodes confirmed."""
    mesh = Mesh()
    async with serve(APP) as node:
        mesh.node = node
        publishing = Publishing(node.clients.hub, mesh, mesh, now=time.time)
        await publishing.event(APP, EVENT, None)
        assert (publishing.published, publishing.unacknowledged) == (1, 0)

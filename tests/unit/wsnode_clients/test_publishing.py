"""The publish API over real sockets, on a node whose peers are played by the test."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pusher  # type: ignore[import-untyped]
import pytest
from pusher.errors import (  # type: ignore[import-untyped]
    PusherBadAuth,
    PusherBadRequest,
    PusherBadStatus,
    PusherForbidden,
)
from sanic import Sanic

from tests.unit.wsnode_clients.serving import Client, Node, serve, until
from wsmesh.contract import App, AppLimits, ChannelRule
from wsmesh.signature import channel_auth, request_signature, user_auth
from wsnode.domain.messages import Event, Join, Payload, Terminate
from wsnode.domain.wire import Snapshot
from wsnode.publishing import (
    ChannelCounts,
    ChannelQuery,
    ChannelUsers,
    InsufficientAcks,
    Published,
    Publishing,
    UserQuery,
)
from wsnode.web.clients import Clients
from wsnode.web.publish_api import MAX_BODY_BYTES, add_publish_routes

PUBLISH_KEY = "a-publish-key-of-the-shop"
BEARER = {"Authorization": f"Bearer {PUBLISH_KEY}"}
APP = App(
    id="1",
    key="key",
    secret="secret",
    publish_keys=["0" * 64, hashlib.sha256(PUBLISH_KEY.encode()).hexdigest()],
    rules=[ChannelRule(pattern="small-*", max_data_bytes=5), ChannelRule(pattern="big-*", max_data_bytes=20_000)],
)
OFF = App(id="2", key="off", secret="secret", enabled=False)
SLOW = App(id="3", key="slow", secret="secret", limits=AppLimits(publishes_per_second=2), publish_keys=APP.publish_keys)


class Mesh:
    """The mesh as publishing sees it: `peers` are the other nodes, with their subscribers; None does not answer."""

    def __init__(self) -> None:
        self.node: Node
        self.peers: dict[str, ChannelCounts | None] = {}
        self.acks: list[object] = []
        self.asked: list[ChannelQuery] = []
        self.users: dict[str, ChannelUsers] = {}
        """The presence channels of those peers that have some."""

    async def publish(self, payload: Payload, acks: object) -> Published:
        """Deliver here; every peer that answers holds the message at once."""
        return await self._held(self.node.publish(payload), acks)

    async def acknowledged(self, stream: str, seq: int, acks: object) -> Published:
        """Every peer that answers holds every message."""
        return await self._held(f"{stream}:{seq}", acks)

    async def _held(self, identity: str, acks: object) -> Published:
        self.acks.append(acks)
        await asyncio.sleep(0)
        held = [name for name, counts in self.peers.items() if counts is not None]
        wanted = len(self.peers) if acks == "all" else acks or 0
        if len(held) < int(wanted):  # type: ignore[call-overload]
            raise InsufficientAcks(identity, wanted, held)  # type: ignore[arg-type]
        return Published(identity, held)

    async def ask_peers(self, query: ChannelQuery) -> tuple[dict[str, ChannelCounts], list[str]]:
        """What the peers say."""
        self.asked.append(query)
        answers = {name: counts for name, counts in self.peers.items() if counts is not None}
        return answers, [name for name, counts in self.peers.items() if counts is None]

    async def ask_users(self, query: UserQuery) -> tuple[dict[str, ChannelUsers], list[str]]:
        """What the peers say of users."""
        self.asked.append(query)
        answers = {name: self.users.get(name, {}) for name, counts in self.peers.items() if counts is not None}
        return answers, [name for name, counts in self.peers.items() if counts is None]


class Api:
    """A running node, the mesh around it, and ways to call it."""

    def __init__(self, node: Node, mesh: Mesh, http: aiohttp.ClientSession) -> None:
        self.node = node
        self.mesh = mesh
        self.http = http
        self.base = f"http://127.0.0.1:{node.port}"

    async def call(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Call with the publish key, or with the headers given."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        async with self.http.request(
            method, self.base + path, data=data, headers=BEARER if headers is None else headers
        ) as r:
            return r.status, await r.json()

    async def signed(
        self, method: str, path: str, body: bytes = b"", *, secret: str = "secret", **changed: str | None
    ) -> tuple[int, Any]:
        """Call with a signature; parameters that are None are left out after signing."""
        query = {"auth_key": "key", "auth_timestamp": str(int(time.time())), "auth_version": "1.0"}
        query["body_md5"] = hashlib.md5(body).hexdigest()
        query |= {name: value for name, value in changed.items() if value is not None}
        query = {name: value for name, value in query.items() if name not in changed or changed[name] is not None}
        query["auth_signature"] = request_signature(secret, method, path, query)
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return await self.call(method, f"{path}?{text}", body, headers={})

    def library(self, **options: Any) -> pusher.Pusher:
        """The official server library."""
        given = {"app_id": "1", "key": "key", "secret": "secret", "host": "127.0.0.1", "port": self.node.port}
        return pusher.Pusher(**(given | {"ssl": False} | options))


@asynccontextmanager
async def api() -> AsyncIterator[Api]:
    mesh = Mesh()

    def routes(app: Sanic[Any, Any], clients: Clients) -> None:
        app.config.REQUEST_MAX_SIZE = MAX_BODY_BYTES
        add_publish_routes(app, Publishing(clients.hub, mesh, mesh, now=time.time))

    async with serve(APP, OFF, SLOW, routes=routes) as node, aiohttp.ClientSession() as http:
        mesh.node = node
        yield Api(node, mesh, http)


def failure(code: str, message: str, field: str | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "field": field}}


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


EVENT = json.dumps({"name": "n", "data": "d", "channel": "c"}).encode()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"secret": "wrong"}, "auth_signature does not match this request"),
        ({"auth_key": "other"}, "auth_key is not the key of this app"),
        ({"auth_version": "2.0"}, "auth_version must be 1.0"),
        ({"auth_version": None}, "the query parameter auth_version is missing"),
        ({"auth_timestamp": None}, "the query parameter auth_timestamp is missing"),
        ({"auth_timestamp": "now"}, "auth_timestamp must be whole seconds since the epoch"),
        ({"auth_timestamp": "1000"}, "auth_timestamp is more than 600 seconds away from the server's clock"),
        ({"auth_timestamp": "99999999999"}, "auth_timestamp is more than 600 seconds away from the server's clock"),
        ({"body_md5": None}, "the query parameter body_md5 is missing; a request with a body must carry it"),
        ({"body_md5": "0" * 32}, "body_md5 does not match the body"),
    ],
)
async def test_a_wrong_signature_is_refused(changed: dict[str, Any], message: str) -> None:
    """Each part of a signature is checked, and the answer says which one is wrong."""
    async with api() as a:
        assert await a.signed("POST", "/apps/1/events", EVENT, **changed) == (401, failure("bad_signature", message))
        assert a.node.published == []
        assert (await a.signed("POST", "/apps/1/events", EVENT))[0] == 200


async def test_what_is_not_signed_may_not_be_added() -> None:
    """A parameter added after signing breaks the signature."""
    async with api() as a:
        query = {"auth_key": "key", "auth_timestamp": str(int(time.time())), "auth_version": "1.0"}
        query["auth_signature"] = request_signature("secret", "GET", "/apps/1/channels", query)
        text = "&".join(f"{name}={value}" for name, value in query.items())
        assert (await a.call("GET", f"/apps/1/channels?{text}", headers={}))[0] == 200
        assert (await a.call("GET", f"/apps/1/channels?{text}&info=subscription_count", headers={}))[0] == 401


UNSIGNED = "sign the request as Pusher does, or send Authorization: Bearer <publish key>"


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        ({}, "unauthorised", UNSIGNED),
        ({"Authorization": "Basic a2V5OnNlY3JldA=="}, "unauthorised", UNSIGNED),
        ({"Authorization": "Bearer wrong"}, "bad_publish_key", "this is no valid publish key of the app"),
        ({"Authorization": "Bearer "}, "bad_publish_key", "this is no valid publish key of the app"),
        (
            {"Authorization": f"Bearer {APP.publish_keys[1]}"},
            "bad_publish_key",
            "this is no valid publish key of the app",
        ),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/apps/1/events"),
        ("POST", "/apps/1/batch_events"),
        ("GET", "/apps/1/channels"),
        ("GET", "/apps/1/channels/news"),
        ("GET", "/apps/1/channels/presence-news/users"),
        ("POST", "/apps/1/users/u1/terminate_connections"),
    ],
)
async def test_nobody_without_a_key_gets_in(
    method: str, path: str, headers: dict[str, str], code: str, message: str
) -> None:
    """Every route wants a signature or a publish key; the hash of a key is no key."""
    async with api() as a:
        assert await a.call(method, path, EVENT, headers=headers) == (401, failure(code, message))
        assert a.node.published == []


async def test_unknown_and_disabled_apps() -> None:
    """An app that is not there is 404; a disabled one is 403 to those who may use it."""
    async with api() as a:
        assert await a.call("POST", "/apps/9/events", EVENT) == (
            404,
            failure("unknown_app", "there is no app with this id"),
        )
        assert await a.signed("POST", "/apps/2/events", EVENT, auth_key="off") == (
            403,
            failure("app_disabled", "the app is disabled"),
        )
        assert (await a.call("POST", "/apps/2/events", EVENT))[0] == 401


async def test_an_app_publishes_at_its_rate() -> None:
    """Beyond `publishes_per_second` comes 429; reading is not limited."""
    async with api() as a:
        answers = [await a.call("POST", "/apps/3/events", EVENT) for _ in range(5)]
        assert [status for status, _ in answers[:2]] == [200, 200]
        assert (
            429,
            failure("rate_limited", "the app may publish 2 times a second at this node; slow down"),
        ) in answers[2:]
        assert (await a.call("GET", "/apps/3/channels"))[0] == 200


async def test_channels_of_the_whole_cluster() -> None:
    """Numbers of all nodes are added up, a prefix selects, and a node that is silent is named."""
    async with api() as a, a.node.client() as client:
        await client.subscribe("news-a")
        await client.subscribe("other")
        a.mesh.peers = {"n2": {"news-a": 2, "news-b": 1}}
        assert await a.call("GET", "/apps/1/channels?filter_by_prefix=news-&info=subscription_count") == (
            200,
            {"channels": {"news-a": {"subscription_count": 3}, "news-b": {"subscription_count": 1}}},
        )
        assert a.mesh.asked == [ChannelQuery("1", "news-")]
        a.mesh.peers = {"n4": None, "n3": None}
        assert await a.call("GET", "/apps/1/channels") == (
            200,
            {"channels": {"news-a": {}, "other": {}}, "unanswered": ["n3", "n4"]},
        )


async def test_one_channel_of_the_whole_cluster() -> None:
    """A channel is occupied when anyone anywhere is subscribed; others that begin like it do not count."""
    async with api() as a, a.node.client() as client:
        await client.subscribe("news")
        a.mesh.peers = {"n2": {"news": 2, "news-b": 1, "far": 1}}
        path = "/apps/1/channels"
        assert await a.call("GET", f"{path}/news?info=subscription_count") == (
            200,
            {"occupied": True, "subscription_count": 3},
        )
        assert await a.call("GET", f"{path}/far") == (200, {"occupied": True})
        assert await a.call("GET", f"{path}/none?info=subscription_count") == (
            200,
            {"occupied": False, "subscription_count": 0},
        )
        a.mesh.peers = {"n2": None}
        assert await a.call("GET", f"{path}/news") == (200, {"occupied": True, "unanswered": ["n2"]})


async def test_the_last_event_of_a_cache_channel_can_be_read() -> None:
    """`info=cache` gives the event, or null while there is none."""
    async with api() as a:
        path = "/apps/1/channels/cache-a?info=cache"
        assert await a.call("GET", path) == (200, {"occupied": False, "cache": None})
        await a.call("POST", "/apps/1/events", {"name": "n", "data": "d", "channel": "cache-a"})
        cached = {"event": "n", "data": "d", "id": "n1~abc:1"}
        assert await a.call("GET", path) == (200, {"occupied": False, "cache": cached})


@pytest.mark.parametrize(
    ("path", "status", "answer"),
    [
        (
            "/channels?info=user_count",
            400,
            failure("invalid_info", "only presence channels have a user_count", "info"),
        ),
        (
            "/channels/a?info=user_count",
            400,
            failure("invalid_info", "only presence channels have a user_count", "info"),
        ),
        ("/channels?info=age", 400, failure("invalid_info", "info may ask for subscription_count, user_count", "info")),
        ("/channels/a?info=cache", 400, failure("invalid_info", "this is no cache channel", "info")),
        (
            "/channels/a?info=age",
            400,
            failure("invalid_info", "info may ask for subscription_count, user_count, cache", "info"),
        ),
        (
            "/channels/a%20b",
            400,
            failure(
                "invalid_channel", "a channel name may only have the characters A-Z a-z 0-9 _ - = @ , . ;", "channel"
            ),
        ),
        ("/channels/a/users", 400, failure("invalid_channel", "only presence channels have users", "channel")),
    ],
)
async def test_wrong_questions_are_refused(path: str, status: int, answer: Any) -> None:
    """Each mistake in a question gets its own answer."""
    async with api() as a:
        assert await a.call("GET", f"/apps/1{path}") == (status, answer)


async def present(client: Client, channel: str, user: str) -> None:
    """Subscribe to a presence channel as this user."""
    data = json.dumps({"user_id": user})
    await client.subscribe(
        channel, channel_data=data, auth=channel_auth("key", "secret", client.socket_id, channel, data)
    )


async def test_users_of_a_presence_channel_of_the_whole_cluster() -> None:
    """Each user once, wherever and however often it is connected; an empty channel has none."""
    async with api() as a, a.node.client() as one, a.node.client() as two:
        await present(one, "presence-a", "ada")
        await present(two, "presence-a", "ada")
        a.mesh.peers = {"n2": {}, "n3": {}}
        a.mesh.users = {"n2": {"presence-a": ["bob", "ada"], "presence-b": ["eve"]}, "n3": {"presence-a": ["bob"]}}
        path = "/apps/1/channels"
        assert await a.call("GET", f"{path}/presence-a/users") == (200, {"users": [{"id": "ada"}, {"id": "bob"}]})
        assert a.mesh.asked == [UserQuery("1", "presence-a", ["presence-a"])]
        assert await a.call("GET", f"{path}/presence-none/users") == (200, {"users": []})


async def test_users_of_a_node_that_does_not_answer_are_those_it_said_last() -> None:
    """The answer names the node; its subscribers cannot be counted, but its users are known."""
    async with api() as a, a.node.client() as client:
        await present(client, "presence-a", "ada")
        last = Snapshot(
            present=[Join("1", "presence-a", "bob"), Join("1", "presence-b", "eve"), Join("2", "presence-a", "x")]
        )
        a.node.clients.learn("n2", "n2~b", 1, last)
        a.mesh.peers = {"n2": None}
        assert await a.call("GET", "/apps/1/channels/presence-a/users") == (
            200,
            {"users": [{"id": "ada"}, {"id": "bob"}], "unanswered": ["n2"]},
        )
        assert await a.call("GET", "/apps/1/channels/presence-a?info=user_count,subscription_count") == (
            200,
            {"occupied": True, "user_count": 2, "subscription_count": 1, "unanswered": ["n2"]},
        )


async def test_user_counts_of_presence_channels() -> None:
    """A user counts once on all nodes, a connection each time; a publish can ask too."""
    async with api() as a, a.node.client() as one, a.node.client() as two:
        await present(one, "presence-a", "ada")
        await present(two, "presence-a", "ada")
        a.mesh.peers = {"n2": {"presence-a": 2, "presence-b": 1}}
        a.mesh.users = {"n2": {"presence-a": ["ada", "bob"], "presence-b": ["eve"]}}
        numbers = {"presence-a": {"user_count": 2}, "presence-b": {"user_count": 1}}
        assert await a.call("GET", "/apps/1/channels?filter_by_prefix=presence-&info=user_count") == (
            200,
            {"channels": numbers},
        )
        assert await a.call("GET", "/apps/1/channels/presence-a?info=subscription_count,user_count") == (
            200,
            {"occupied": True, "subscription_count": 4, "user_count": 2},
        )
        assert await a.call("GET", "/apps/1/channels/presence-none?info=user_count") == (
            200,
            {"occupied": False, "user_count": 0},
        )
        body = {"name": "n", "data": "d", "channels": ["presence-a", "presence-b"], "info": "user_count"}
        status, answer = await a.call("POST", "/apps/1/events", body)
        assert (status, answer["channels"]) == (200, numbers)


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


async def test_the_official_library_works_unchanged() -> None:
    """Publishing, batches, encrypted channels, users and questions, as the Python library signs and sends them."""
    async with api() as a, a.node.client() as client:
        library = a.library(encryption_master_key_base64="A" * 43 + "=")
        await client.subscribe("news")
        signed = library.authenticate("private-encrypted-x", client.socket_id)
        await client.subscribe("private-encrypted-x", auth=signed["auth"])
        await client.say("pusher:signin", library.authenticate_user(client.socket_id, {"id": "u1"}))
        assert (await client.hear())["event"] == "pusher:signin_success"
        await client.subscribe("#server-to-user-u1")
        member = library.authenticate("presence-x", client.socket_id, {"user_id": "u1"})
        await client.subscribe("presence-x", **member)

        def work() -> list[Any]:
            return [
                library.trigger("news", "hello", {"x": "ü"}),
                library.trigger("private-encrypted-x", "hello", {"x": 1}),
                library.trigger_batch([{"channel": "news", "name": "hello", "data": "3"}]),
                library.send_to_user("u1", "hello", "4"),
                library.channels_info("ne", ["subscription_count"]),
                library.channel_info("news", ["subscription_count"]),
                library.channel_info("presence-x", ["user_count"]),
                library.users_info("presence-x"),
            ]

        answers = await asyncio.to_thread(work)
        ids = [f"n1~abc:{number}" for number in range(2, 6)]  # the join was the first message
        assert [answers[0]["id"], answers[1]["id"], answers[2]["batch"][0]["id"], answers[3]["id"]] == ids
        assert answers[4:] == [
            {"channels": {"news": {"subscription_count": 1}}},
            {"occupied": True, "subscription_count": 1},
            {"occupied": True, "user_count": 1},
            {"users": [{"id": "u1"}]},
        ]
        heard = [await client.hear() for _ in range(4)]
        assert [message["id"] for message in heard] == ids
        assert json.loads(heard[0]["data"]) == {"x": "ü"}
        assert set(json.loads(heard[1]["data"])) == {"nonce", "ciphertext"}
        assert heard[3] == {"event": "hello", "channel": "#server-to-user-u1", "data": "4", "id": ids[3]}
        await asyncio.to_thread(library.terminate_user_connections, "u1")
        assert Terminate("1", "u1") in a.node.published
        assert (await client.hear())["data"]["code"] == 4009


async def test_the_official_library_hears_what_is_wrong() -> None:
    """The library raises its own errors, with our text."""
    async with api() as a:

        def provoke(expected: type[Exception], work: Any) -> str:
            with pytest.raises(expected) as raised:
                work()
            return str(raised.value)

        def work() -> list[str]:
            return [
                provoke(PusherBadAuth, lambda: a.library(secret="wrong").trigger("a", "b", "c")),
                provoke(PusherBadRequest, lambda: a.library().trigger("a", "pusher:b", "c")),
                provoke(PusherForbidden, lambda: a.library(app_id="2", key="off").trigger("a", "b", "c")),
                provoke(PusherBadStatus, lambda: a.library().trigger("a", "b", "c" * 10_241)),
                provoke(PusherBadRequest, lambda: a.library().users_info("news")),
            ]

        codes = ["bad_signature", "invalid_name", "app_disabled", "data_too_large", "invalid_channel"]
        for code, text in zip(codes, await asyncio.to_thread(work), strict=True):
            assert code in text


async def test_counts_of_what_was_published() -> None:
    """The use case counts accepted events, and those that too few nodes confirmed."""
    mesh = Mesh()
    async with serve(APP) as node:
        mesh.node = node
        publishing = Publishing(node.clients.hub, mesh, mesh, now=time.time)
        await publishing.event(APP, EVENT, None)
        assert (publishing.published, publishing.unacknowledged) == (1, 0)

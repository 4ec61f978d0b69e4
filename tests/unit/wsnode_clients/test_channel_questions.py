"""Questions about channels and users, answered for the whole cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.wsnode_clients.publish_api import api, failure
from tests.unit.wsnode_clients.serving import Client
from wsmesh.signature import channel_auth
from wsnode.domain.messages import Join
from wsnode.domain.wire import Snapshot
from wsnode.publishing import (
    ChannelQuery,
    UserQuery,
)


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

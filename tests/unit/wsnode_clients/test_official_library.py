"""Pusher's own Python library against the publish API."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pusher.errors import (  # type: ignore[import-untyped]
    PusherBadAuth,
    PusherBadRequest,
    PusherBadStatus,
    PusherForbidden,
)

from tests.unit.wsnode_clients.publish_api import api
from wsnode.domain.messages import Terminate


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

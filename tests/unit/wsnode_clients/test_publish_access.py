"""Who may publish: signatures, publish keys, apps and their rate."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.unit.wsnode_clients.publish_api import APP, EVENT, api, failure
from wsmesh.signature import request_signature


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

"""Requests for server-sent events: signatures, origins, and what is refused, with the exact answers."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.unit.wsnode_clients.listening import MAX_AGE, NOW, path, request, serve_sse
from tests.unit.wsnode_clients.serving import APP
from wsmesh.contract import App, AppLimits
from wsmesh.position import MAX_SEQ

PATH = "/apps/key/events"


def signed(
    query: Mapping[str, str], *, age: float = 0, secret: str = APP.secret, key: str = APP.key, at: str = PATH
) -> dict[str, str]:
    """A query that the application's back end has signed, written out as the documentation shows it."""
    query = {**query, "auth_key": key, "auth_timestamp": str(int(NOW - age)), "auth_version": "1.0"}
    text = "\n".join(["GET", at, "&".join(f"{name}={query[name]}" for name in sorted(query))])
    return query | {"auth_signature": hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}


def url(query: Mapping[str, str]) -> str:
    return f"{PATH}?{urlencode(query)}"


async def answer_to(where: str, *apps: App, **headers: str) -> tuple[int, Any]:
    """Status and error of a request that is refused; nobody is let in."""
    async with serve_sse(*apps) as node, request(node, where, **headers) as answer:
        status, error = await answer.error()
        assert node.clients.opened == 0
        return status, error


PRIVATE = {"channels": "private-a,news,private-encrypted-b"}


async def test_a_signed_url_opens_private_channels() -> None:
    """The back end's signature over the query is enough, for as long as SSE_SIGNATURE_SECONDS; positions are free."""
    async with serve_sse() as node:
        for more in ({}, {"last_event_id": "n1~abc:0"}):
            async with request(node, url(signed(PRIVATE, age=MAX_AGE) | more)) as answer:
                assert answer.status == 200
                channels = [(await answer.next()).message.get("channel") for _ in range(4)]
                assert channels == [None, "private-a", "news", "private-encrypted-b"]


async def test_a_clock_that_is_ahead_is_forgiven() -> None:
    """A back end whose clock is some minutes ahead signs URLs that work at once."""
    async with serve_sse() as node, request(node, url(signed(PRIVATE, age=-590))) as answer:
        assert answer.status == 200


EXPIRED = "auth_timestamp is more than {} seconds away from the server's clock; ask the application for a new URL"
WRONG = "auth_signature does not match this request"


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        (
            PRIVATE,
            "unauthorised",
            "private-a is private: it needs a URL that the application has signed, see auth_signature",
        ),
        (signed(PRIVATE, age=MAX_AGE + 1), "signature_expired", EXPIRED.format(MAX_AGE)),
        (signed(PRIVATE, age=-700), "signature_expired", EXPIRED.format(600)),
        (signed(PRIVATE, secret="other"), "bad_signature", WRONG),
        (signed(PRIVATE, key="other"), "bad_signature", "auth_key is not the key of this app"),
        (signed(PRIVATE, at="/apps/other/events"), "bad_signature", WRONG),
        (signed(PRIVATE) | {"channels": "private-b"}, "bad_signature", WRONG),
        (signed({"channels": "news"}) | {"channels": "private-a"}, "bad_signature", WRONG),
        (signed(PRIVATE) | {"more": "1"}, "bad_signature", WRONG),
        (signed({"channels": "news"}) | {"auth_signature": "é"}, "bad_signature", WRONG),
        (signed(PRIVATE) | {"auth_version": "2.0"}, "bad_signature", "auth_version must be 1.0"),
        (PRIVATE | {"auth_key": "key"}, "bad_signature", "the query parameter auth_timestamp is missing"),
        (PRIVATE | {"auth_signature": "x"}, "bad_signature", "the query parameter auth_key is missing"),
    ],
    ids=range(13),
)
async def test_what_is_not_signed_as_it_must_be_is_refused(query: dict[str, str], code: str, message: str) -> None:
    """The answer says what is wrong with the signature, and never what would be right."""
    status, error = await answer_to(url(query))
    assert (status, error["code"], error["message"]) == (401, code, message)


LIMITED = App(id=APP.id, key=APP.key, secret=APP.secret, limits=AppLimits(max_channels_per_connection=2))
NAME = "a channel name may only have the characters A-Z a-z 0-9 _ - = @ , . ;"
LONG = "the channel name has 165 characters, at most 164 are allowed"
MANY = "a connection may subscribe to at most 2 channels, this one asks for 3"
PRESENCE = "presence-a is a presence channel: these need a WebSocket, since a member must be able to say who it is"
USER = "#server-to-user-1 is a user's own channel: these need a WebSocket that has signed in"


@pytest.mark.parametrize(
    ("query", "status", "code", "message"),
    [
        ({}, 400, "missing_channels", "name the channels, separated by commas"),
        ({"channels": ""}, 400, "missing_channels", "name the channels, separated by commas"),
        ({"channels": "a,"}, 400, "invalid_channel", "'': a channel name is a string of 1 to 164 characters"),
        ({"channels": "a b"}, 400, "invalid_channel", f"'a b': {NAME}"),
        ({"channels": "a\n"}, 400, "invalid_channel", f"'a\\n': {NAME}"),
        ({"channels": "x" * 165}, 400, "invalid_channel", f"{'x' * 100!r}: {LONG}"),
        ({"channels": "a,a"}, 400, "invalid_channel", "a is named twice"),
        ({"channels": "a,b,c"}, 403, "too_many_channels", MANY),
        ({"channels": "presence-a"}, 400, "presence_channel", PRESENCE),
        (signed({"channels": "presence-a"}), 400, "presence_channel", PRESENCE),
        ({"channels": "#server-to-user-1"}, 400, "user_channel", USER),
    ],
    ids=range(11),
)  # fmt: skip
async def test_channels_that_cannot_be_had_are_refused(
    query: dict[str, str], status: int, code: str, message: str
) -> None:
    """Each kind of wrong list of channels has its own answer."""
    assert await answer_to(url(query), LIMITED) == (status, {"code": code, "message": message, "field": "channels"})


@pytest.mark.parametrize(
    ("position", "message"),
    [
        ("now", "the position has 'now', expected STREAM:NUMBER,STREAM:NUMBER… or -"),
        ("n1:1", "the position names 'n1', which is no stream id"),
        ("n1~a:-1", f"the number of n1~a in the position must be a whole number from 0 to {MAX_SEQ}"),
        ("n1~a:1,n1~a:1", "the position names n1~a twice"),
        ("n1~a:1," * 1024 + "n1~a:1", "the position names 1025 streams, at most 1024 are allowed"),
        ("n" * 8001, "the position has 8001 characters, at most 8000 are allowed"),
    ],
    ids=range(6),
)
@pytest.mark.parametrize("where", ["header", "query"])
async def test_wrong_positions_are_refused(where: str, position: str, message: str) -> None:
    """The answer says what is wrong, wherever the position stands, and there is no subscription."""
    field = {"code": "invalid_position", "message": message, "field": "last_event_id"}
    if where == "query":
        assert await answer_to(path("news", last_event_id=position)) == (400, field)
    else:
        assert await answer_to(path("news"), Last_Event_ID=position) == (400, field)


async def test_a_position_from_the_future_or_of_unknown_streams_is_not_recovered() -> None:
    """It is well formed, so the client is let in; but nobody can say what it has missed."""
    async with serve_sse() as node:
        async with request(node, path("news"), last="nobody~0:7") as answer:
            await answer.next()
            event = await answer.next()
            assert event.message["data"] == '{"recovered":false}'
            assert "nobody~0:7" in event.last_event_id
        async with request(node, path("news"), last="n1~abc:9007199254740991") as answer:
            await answer.next()
            event = await answer.next()
            assert event.message["data"] == '{"recovered":false}'
            assert event.last_event_id == "n1~abc:0"


async def test_the_signature_is_looked_at_before_the_position() -> None:
    """Who may not join a channel learns nothing else."""
    text = "private-a is private: it needs a URL that the application has signed, see auth_signature"
    refused = (401, {"code": "unauthorised", "message": text, "field": "auth_signature"})
    for position in ({}, {"last_event_id": "n1~abc:0"}, {"last_event_id": "?"}):
        assert await answer_to(url(PRIVATE | position)) == refused


async def test_unknown_and_disabled_apps_are_refused() -> None:
    """The answers are those of the WebSocket's codes 4001 and 4003."""
    assert await answer_to("/apps/other/events?channels=news") == (
        404,
        {"code": "unknown_app", "message": "There is no app with this key", "field": None},
    )
    disabled = App(id=APP.id, key=APP.key, secret=APP.secret, enabled=False)
    assert await answer_to(path("news"), disabled) == (
        403,
        {"code": "app_disabled", "message": "The app is disabled", "field": None},
    )


async def test_a_head_that_is_too_large_is_refused() -> None:
    """A request's head has a bound, far above the longest position."""
    assert await answer_to(path("news"), X="x" * 20_000) == (
        413,
        {"code": "too_large", "message": "Request header exceeds the size limit", "field": None},
    )


PICKY = App(id=APP.id, key=APP.key, secret=APP.secret, allowed_origins=["https://*.example.com"])


@pytest.mark.parametrize(
    ("app", "origin", "allowed"),
    [
        (APP, "https://a.example.com", "*"),
        (APP, "", None),
        (PICKY, "https://a.example.com", "https://a.example.com"),
        (PICKY, "", None),
    ],
    ids=range(4),
)
async def test_pages_of_allowed_origins_may_read(app: App, origin: str, allowed: str | None) -> None:
    """The answer names the origin when the app names some, and anybody otherwise; who is no browser comes in."""
    headers = {"Origin": origin} if origin else {}
    async with serve_sse(app) as node:
        async with request(node, path("news"), **headers) as answer:
            assert answer.status == 200
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert answer.headers.get("vary") == ("Origin" if allowed not in (None, "*") else None)
        async with request(node, path("a b"), **headers) as answer:
            assert answer.status == 400
            assert answer.headers.get("access-control-allow-origin") == allowed


async def test_pages_of_other_origins_are_refused() -> None:
    """They get what the WebSocket says with 4009."""
    assert await answer_to(path("news"), PICKY, Origin="https://example.org") == (
        403,
        {"code": "origin_not_allowed", "message": "The app does not allow connections from this origin", "field": None},
    )


async def test_a_page_that_sets_the_header_itself_may_ask_first() -> None:
    """The preflight allows Last-Event-ID to origins that the app allows, and nothing to others."""
    async with serve_sse(PICKY) as node:
        for origin, allowed in (("https://a.example.com", "Last-Event-ID, Cache-Control"), ("https://b.org", None)):
            async with request(node, path("news"), method="OPTIONS", Origin=origin) as answer:
                assert answer.status == 204
                assert answer.headers.get("access-control-allow-headers") == allowed
                assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)


async def test_the_documented_way_to_sign_works() -> None:
    """The Python example of the documentation makes a URL that opens the channels."""
    text = (Path(__file__).parents[3] / "docs" / "sse.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(example, "docs/sse.md", "exec"), names)
    made = names["events_url"]("push.example.com", APP.key, APP.secret, "private-orders", "news")
    where = made.removeprefix("https://push.example.com")
    async with serve_sse(now=time.time) as node, request(node, where) as answer:
        assert answer.status == 200

"""Signatures agree with Pusher's documentation and with the official server library."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import parse_qsl

import pusher  # type: ignore[import-untyped]
import pytest
from pusher.http import Request  # type: ignore[import-untyped]

from wsmesh.signature import (
    TIMESTAMP_WINDOW,
    SignatureError,
    channel_auth,
    request_signature,
    same,
    user_auth,
    verify_request,
)

KEY = "278d425bdf160c739803"
SECRET = "7ad3773142a6692b25b8"
SOCKET = "1234.1234"

# The example of "Worked authentication example" in Pusher's HTTP API reference.
BODY = b'{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}'
QUERY = {
    "auth_key": KEY,
    "auth_timestamp": "1353088179",
    "auth_version": "1.0",
    "body_md5": "ec365a775a4cd0599faeb73354201b6f",
}
DOCUMENTED = "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
PATH = "/apps/3/events"
NOW = 1353088179.0


def signed(**changes: str) -> dict[str, str]:
    """The documented request with some parameters changed, and signed."""
    query = {**QUERY, **changes}
    return {**query, "auth_signature": request_signature(SECRET, "POST", PATH, query)}


def library() -> pusher.Pusher:
    return pusher.Pusher(app_id="3", key=KEY, secret=SECRET, host="127.0.0.1", ssl=False)


def test_private_channel_matches_the_documented_vector() -> None:
    """A private channel's signature is the one printed in Pusher's documentation."""
    expected = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
    assert channel_auth(KEY, SECRET, SOCKET, "private-foobar") == f"{KEY}:{expected}"


def test_user_matches_the_documented_vector() -> None:
    """A user's signature is the one printed in Pusher's documentation."""
    expected = "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba"
    assert user_auth(KEY, SECRET, SOCKET, '{"id":"12345"}') == f"{KEY}:{expected}"


def test_request_matches_the_documented_vector() -> None:
    """A request's signature is the one printed in Pusher's documentation."""
    assert request_signature(SECRET, "POST", PATH, QUERY) == DOCUMENTED
    assert hashlib.md5(BODY, usedforsecurity=False).hexdigest() == QUERY["body_md5"]


def test_private_channel_agrees_with_the_official_library() -> None:
    """The official library signs a private channel the same way."""
    answer = library().authenticate("private-orders", SOCKET)
    assert answer["auth"] == channel_auth(KEY, SECRET, SOCKET, "private-orders")


def test_presence_channel_agrees_with_the_official_library() -> None:
    """The official library signs a presence channel with its member's data the same way."""
    answer = library().authenticate("presence-room", SOCKET, {"user_id": "10", "user_info": {"name": "Zoë"}})
    assert answer["auth"] == channel_auth(KEY, SECRET, SOCKET, "presence-room", answer["channel_data"])


def test_user_agrees_with_the_official_library() -> None:
    """The official library signs a user the same way."""
    answer = library().authenticate_user(SOCKET, {"id": "12345", "name": "Zoë"})
    assert answer["auth"] == user_auth(KEY, SECRET, SOCKET, answer["user_data"])


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [
        ("POST", "/apps/3/events", {"name": "e", "channels": ["a", "b"], "data": json.dumps({"x": "ü & = ?"})}),
        ("GET", "/apps/3/channels", {"filter_by_prefix": "presence-", "info": "user_count,subscription_count"}),
    ],
)
def test_requests_of_the_official_library_are_accepted(method: str, path: str, params: dict[str, object]) -> None:
    """What the official library sends verifies, with and without a body."""
    request = Request(library()._pusher_client, method, path, params)
    query = dict(parse_qsl(request.query_string, strict_parsing=True))
    verify_request(KEY, SECRET, method, path, query, request.body, float(query["auth_timestamp"]))


def test_names_are_sorted_and_lower_case() -> None:
    """The order and the case of the parameters' names do not change the signature."""
    mixed = {"Auth_Version": "1.0", "body_md5": "x", "AUTH_KEY": "k"}
    plain = {"auth_key": "k", "auth_version": "1.0", "body_md5": "x"}
    assert request_signature(SECRET, "post", PATH, mixed) == request_signature(SECRET, "POST", PATH, plain)


def test_the_documented_request_is_accepted() -> None:
    """The documented request verifies at its time."""
    verify_request(KEY, SECRET, "POST", PATH, {**QUERY, "auth_signature": DOCUMENTED}, BODY, NOW)


@pytest.mark.parametrize("missing", ["auth_key", "auth_timestamp", "auth_version", "auth_signature"])
def test_a_missing_parameter_is_named(missing: str) -> None:
    """A request without one of the parameters is refused by its name."""
    query = {name: value for name, value in signed().items() if name != missing}
    with pytest.raises(SignatureError, match=f"^the query parameter {missing} is missing$"):
        verify_request(KEY, SECRET, "POST", PATH, query, BODY, NOW)


@pytest.mark.parametrize(
    ("query", "body", "text"),
    [
        (signed(auth_version="1.1"), BODY, "auth_version must be 1.0"),
        (signed(auth_key="other"), BODY, "auth_key is not the key of this app"),
        (signed() | {"auth_signature": "0" * 64}, BODY, "auth_signature does not match this request"),
        (signed() | {"auth_signature": "Ü\ud800"}, BODY, "auth_signature does not match this request"),
        (signed() | {"info": "added"}, BODY, "auth_signature does not match this request"),
        (signed(auth_timestamp="soon"), BODY, "auth_timestamp must be whole seconds since the epoch"),
        (signed(auth_timestamp="9" * 400), BODY, "auth_timestamp must be whole seconds since the epoch"),
        (signed(auth_timestamp="9" * 5000), BODY, "auth_timestamp must be whole seconds since the epoch"),
        (signed(body_md5="0" * 32), BODY, "body_md5 does not match the body"),
        (signed(), BODY + b" ", "body_md5 does not match the body"),
        (signed(), b"", "body_md5 does not match the body"),
    ],
)
def test_what_is_wrong_is_said(query: dict[str, str], body: bytes, text: str) -> None:
    """Each wrong part of a request is refused with a text that names the part."""
    with pytest.raises(SignatureError) as caught:
        verify_request(KEY, SECRET, "POST", PATH, query, body, NOW)
    assert str(caught.value) == text


def test_a_body_needs_its_md5() -> None:
    """A signed request whose body is not covered by the signature is refused."""
    query = {name: value for name, value in QUERY.items() if name != "body_md5"}
    query["auth_signature"] = request_signature(SECRET, "POST", PATH, query)
    with pytest.raises(SignatureError, match="body_md5 is missing"):
        verify_request(KEY, SECRET, "POST", PATH, query, BODY, NOW)
    verify_request(KEY, SECRET, "POST", PATH, query, b"", NOW)


@pytest.mark.parametrize("away", [-TIMESTAMP_WINDOW, TIMESTAMP_WINDOW])
def test_the_window_of_time(away: int) -> None:
    """A request is accepted up to ten minutes early or late, and not a second more."""
    verify_request(KEY, SECRET, "POST", PATH, signed(), BODY, NOW + away)
    with pytest.raises(SignatureError, match="more than 600 seconds away"):
        verify_request(KEY, SECRET, "POST", PATH, signed(), BODY, NOW + away + (1 if away > 0 else -1))


def test_a_request_with_a_wrong_signature_learns_nothing_else() -> None:
    """Whether the time or the body fit is only said to those who know the secret."""
    query = signed(auth_timestamp="1") | {"auth_signature": "0" * 64}
    with pytest.raises(SignatureError, match="auth_signature"):
        verify_request(KEY, SECRET, "POST", PATH, query, b"other", NOW)


def test_same_takes_any_text() -> None:
    """Secrets of any length and any characters can be compared."""
    assert same("ü", "ü")
    assert not same("ü", "u")
    assert not same("a", "ab")
    assert not same("\ud800", "a")

"""What the publisher sends."""

from __future__ import annotations

import json

import pytest

from wsmesh.client import Publisher
from wsmesh.client.publisher import event_body, signed_query
from wsmesh.signature import SignatureError, verify_request


def test_the_body_has_what_was_given() -> None:
    """The body is that of the Pusher API; `acks` and `socket_id` are there when given."""
    assert json.loads(event_body(["a", "b"], "e", "ü")) == {"name": "e", "channels": ["a", "b"], "data": "ü"}
    more = json.loads(event_body(["a"], "e", "", acks="all", socket_id="1.2"))
    assert more == {"name": "e", "channels": ["a"], "data": "", "acks": "all", "socket_id": "1.2"}
    assert json.loads(event_body(["a"], "e", "", acks=0))["acks"] == 0


def test_the_signed_query_verifies() -> None:
    """A server that has the secret accepts the query for this body, and for no other."""
    query = signed_query("key", "secret", "/apps/1/events", b"body", 1000.9)
    verify_request("key", "secret", "POST", "/apps/1/events", query, b"body", 1000)
    with pytest.raises(SignatureError):
        verify_request("key", "secret", "POST", "/apps/1/events", query, b"other", 1000)


@pytest.mark.parametrize(("key", "secret"), [(None, None), ("k", None), (None, "s")])
def test_it_needs_something_to_show(key: str | None, secret: str | None) -> None:
    """Without a publish key, or key and secret, there is no publisher."""
    with pytest.raises(ValueError, match="publish key"):
        Publisher("http://127.0.0.1", "1", key=key, secret=secret)

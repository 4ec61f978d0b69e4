"""Who may use the publish API of an app: whoever signs with its secret, or shows one of its publish keys."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from wsmesh.contract import App
from wsmesh.signature import SignatureError, same, verify_request
from wsnode.domain.refused import Refused


class Request(NamedTuple):
    """The parts of an HTTP request that a signature covers, and its `Authorization` header."""

    method: str
    path: str
    """As sent, still URL-escaped."""
    query: Mapping[str, str]
    """Unescaped."""
    body: bytes
    authorization: str = ""


def authorise(app: App, request: Request, now: float) -> None:
    """Let the request pass, or raise Refused; `now` in seconds since the epoch."""
    scheme, _, token = request.authorization.partition(" ")
    if "auth_signature" in request.query or "auth_key" in request.query:
        try:
            verify_request(app.key, app.secret, request.method, request.path, request.query, request.body, now)
        except SignatureError as problem:
            raise Refused(401, "bad_signature", str(problem)) from None
    elif scheme.lower() == "bearer":
        digest = hashlib.sha256(token.strip().encode(errors="surrogatepass")).hexdigest()
        if not sum(same(digest, key) for key in app.publish_keys):  # no early end: all are compared
            raise Refused(401, "bad_publish_key", "this is no valid publish key of the app")
    else:
        raise Refused(
            401, "unauthorised", "sign the request as Pusher does, or send Authorization: Bearer <publish key>"
        )
    if not app.enabled:
        raise Refused(403, "app_disabled", "the app is disabled")

"""The registry over HTTP."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from haproxysync.domain.decide import Refuse
from haproxysync.reading import SettingsError

MAX_BYTES = 1_048_576
TIMEOUT = 5.0
"""Seconds for one registry to answer, beside the time that it was asked to wait."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to wherever it points."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Registry:
    """Asks the registries in order, from the one that answered last; remembers its answer for the long poll."""

    def __init__(self, urls: tuple[str, ...], key: str, ca: Path | None) -> None:
        try:
            context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        except (OSError, ssl.SSLError) as problem:
            raise SettingsError(f"WS_UPDATES_CA: found {str(ca)!r}, which cannot be read: {problem}") from None
        self._open = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirect()
        ).open
        self._urls = urls
        self._key = key
        self._etag: str | None = None
        self._body = b""

    def fetch(self, *, wait: float = 0.0) -> bytes | Refuse:
        """The body of `GET /api/v1/slots`, of the first registry that gives one.

        With `wait` the registry keeps the request for so many seconds until its answer differs from the last one; if
        none does, the last answer comes again.
        """
        problems: list[Refuse] = []
        for number, url in enumerate(self._urls):
            answer = self._ask(url, wait)
            if not isinstance(answer, Refuse):
                # Begin with it the next time: one that hangs would else delay every change.
                self._urls = self._urls[number:] + self._urls[:number]
                return answer
            problems.append(answer)
        denied = [problem for problem in problems if problem.reason == "unauthorized"]
        return Refuse((denied or problems)[0].reason, "; ".join(problem.text for problem in problems))

    def _ask(self, url: str, wait: float) -> bytes | Refuse:
        headers = {"Authorization": f"Bearer {self._key}", "Accept": "application/json", "User-Agent": "haproxy-sync"}
        query = ""
        if wait and self._etag:
            headers["If-None-Match"] = self._etag
            query = f"?wait={wait:g}"
        request = urllib.request.Request(f"{url}/api/v1/slots{query}", headers=headers)  # noqa: S310 (settings allow http and https alone)
        try:
            with self._open(request, timeout=TIMEOUT + (wait if query else 0)) as answer:
                body: bytes = answer.read(MAX_BYTES + 1)
                etag = answer.headers.get("ETag")
        except urllib.error.HTTPError as problem:
            with problem:
                return self._body if problem.code == 304 and query else _refusal(url, problem)
        except (OSError, http.client.HTTPException, ValueError) as problem:
            reason = getattr(problem, "reason", None) or problem
            return Refuse("unreachable", f"{url} does not answer: {reason}")
        if len(body) > MAX_BYTES:
            return Refuse("invalid", f"{url} sent more than {MAX_BYTES} bytes")
        self._etag, self._body = etag, body
        return body


def _refusal(url: str, problem: urllib.error.HTTPError) -> Refuse:
    try:
        error = json.loads(problem.read(MAX_BYTES))["error"]
        said = f"{error['code']}: {error['message']}"
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        said = str(problem.reason)
    said = " ".join(said.split())[:300]
    if problem.code in (401, 403):
        return Refuse("unauthorized", f"{url} does not accept WS_UPDATES_KEY ({problem.code}, {said})")
    return Refuse("unreachable", f"{url} answered {problem.code} ({said})")

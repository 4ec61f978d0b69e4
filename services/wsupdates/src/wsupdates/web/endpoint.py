"""What a route is: declared once, for the router, the check of keys and bodies, and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from sanic import HTTPResponse, Request

from wsupdates.domain.keys import ApiKey, Role
from wsupdates.web import bodies

if TYPE_CHECKING:
    from wsupdates.web.services import Services


@dataclass(frozen=True)
class Call:
    """One request, its key checked. `params` are the parts of the path."""

    request: Request
    services: Services
    key: ApiKey | None
    params: Mapping[str, str]
    body: Any

    @property
    def by(self) -> str:
        """The name that the audit record shows."""
        return self.key.name if self.key else ""

    def query(self, name: str) -> str | None:
        """One value of the query."""
        value = self.request.args.get(name)
        return bodies.plain(value, name) if isinstance(value, str) else None

    def limit(self) -> int:
        """How many entries a page may have."""
        return bodies.number(self.query("limit"), "limit", 100, 1, 1_000)


@dataclass(frozen=True)
class Parameter:
    """A parameter of the query or of the headers."""

    name: str
    about: str
    schema: Mapping[str, Any]
    place: str = "query"


@dataclass(frozen=True)
class Endpoint:
    """A route. `body` and `answer` are the shapes; `errors` maps a code to its status and meaning."""

    method: str
    path: str
    call: Callable[[Call], Awaitable[HTTPResponse]]
    about: str
    tag: str
    roles: tuple[Role, ...] = ()
    body: Any = None
    partial: bool = False
    """Whether the call gets the body as a plain object that names some of the fields."""
    closed: bool = False
    """Whether a field of the body that is not known is an error. The services' own bodies may come from newer ones."""
    answer: Any = None
    media: str = "application/json"
    status: int = 200
    unchanged: bool = False
    """Whether 304 is an answer too."""
    parameters: tuple[Parameter, ...] = ()
    errors: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    example: Any = None
    answer_example: Any = None

    @property
    def name(self) -> str:
        """A name for the router and the metrics."""
        return self.call.__name__


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """A JSON answer."""
    return encoded(msgspec.json.encode(value), status, headers)


def encoded(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """A JSON answer that is encoded already."""
    return HTTPResponse(body, status, dict(headers or {}), "application/json")


def nothing() -> HTTPResponse:
    """204."""
    return HTTPResponse(status=204)

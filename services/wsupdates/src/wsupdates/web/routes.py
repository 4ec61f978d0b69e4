"""The Sanic app: every endpoint behind the check of its key, its caller's rate and its body."""

from __future__ import annotations

import asyncio
import itertools
import urllib.parse
from collections.abc import Callable, Coroutine
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.config import Config
from sanic.response import BaseHTTPResponse

from wsupdates.domain.refusals import Refusal
from wsupdates.web import apps, bodies, docs, errors, keys, nodes, openapi, rules, system, webhooks
from wsupdates.web.endpoint import Call, Endpoint
from wsupdates.web.services import Services

ENDPOINTS: tuple[Endpoint, ...] = (
    *system.ENDPOINTS,
    *nodes.ENDPOINTS,
    *apps.ENDPOINTS,
    *rules.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *keys.ENDPOINTS,
)

RESPONSE_SECONDS = system.MAX_WAIT + 15

_number = itertools.count(1)

Handler = Callable[..., Coroutine[Any, Any, HTTPResponse]]


def build(services: Services, max_body_bytes: int) -> Sanic[Any, Any]:
    """The app, ready for a listener."""
    config = Config(env_prefix="")
    config.REQUEST_MAX_SIZE = max_body_bytes
    config.RESPONSE_TIMEOUT = RESPONSE_SECONDS
    config.KEEP_ALIVE_TIMEOUT = RESPONSE_SECONDS
    config.TOUCHUP = False
    app = Sanic(f"wsupdates-{next(_number)}", config=config, configure_logging=False)
    errors.install(app, max_body_bytes)
    handlers: list[tuple[Endpoint, Handler]] = []
    for endpoint in ENDPOINTS:
        handler = _handler(endpoint, services)
        app.add_route(handler, endpoint.path, methods=[endpoint.method], name=endpoint.name)
        handlers.append((endpoint, handler))
    openapi.install(app, handlers)
    docs.install(app)

    async def count(request: Request, response: BaseHTTPResponse) -> None:
        route = f"{request.method} /{request.route.path}" if request.route else "unknown"
        services.metrics.requests.labels(route, str(response.status)).inc()
        response.headers.setdefault("x-content-type-options", "nosniff")
        response.headers.setdefault("cache-control", "no-store")

    app.register_middleware(count, "response")
    return app


def _handler(endpoint: Endpoint, services: Services) -> Handler:
    async def handle(request: Request, **params: str) -> HTTPResponse:
        # A caller that leaves must not stop a transaction half way: it would hold the database for good.
        work = asyncio.ensure_future(answer(request, params))
        work.add_done_callback(_seen)
        return await asyncio.shield(work)

    async def answer(request: Request, params: dict[str, str]) -> HTTPResponse:
        key = None
        if endpoint.roles:
            key = await services.keys.check(_secret(request), endpoint.roles)
            if not services.rates.take(key.id, services.monotonic()):
                raise Refusal(429, "rate", "too many requests with this key (REQUESTS_PER_SECOND); wait a second")
        path = {name: bodies.plain(urllib.parse.unquote(value), name) for name, value in params.items()}
        return await endpoint.call(Call(request, services, key, path, _body(endpoint, request)))

    handle.__name__ = endpoint.name
    return handle


def _seen(work: asyncio.Future[HTTPResponse]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not work.cancelled():
        work.exception()


def _secret(request: Request) -> str | None:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def _body(endpoint: Endpoint, request: Request) -> Any:
    if endpoint.body is None:
        return None
    value = bodies.parse(request.body)
    if endpoint.closed:
        bodies.refuse_unknown(value, endpoint.body)
    if endpoint.partial:
        return bodies.convert(value, dict)
    return bodies.convert(value, endpoint.body)

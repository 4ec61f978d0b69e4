"""The Pusher HTTP API on the client port."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from sanic import HTTPResponse, Request, Sanic

from wsmesh.contract import App, error_answer
from wsnode.domain import authorisation
from wsnode.domain.publish_bodies import KEY_HEADER
from wsnode.domain.refused import Refused
from wsnode.publishing import Answer, Publishing

MAX_BODY_BYTES = 4_194_304
"""Largest body of a request; set it as Sanic's REQUEST_MAX_SIZE."""

Query = dict[str, str]
Work = Callable[[App, Query], Awaitable[Answer]]


def add_publish_routes(app: Sanic[Any, Any], publishing: Publishing) -> None:
    """Serve `/apps/{id}/…`, and the path without the app's id that the Python library uses to end connections."""

    async def answer(request: Request, app_id: str | None, work: Work) -> HTTPResponse:
        query = dict(parse_qsl(request.query_string, keep_blank_values=True))
        signed = authorisation.Request(
            request.method, request.path, query, request.body, request.headers.get("authorization", "")
        )
        try:
            if app_id is None:
                app_id = publishing.app_id_of(query.get("auth_key", ""))
            body = await work(publishing.app(app_id, signed), query)
        except Refused as refused:
            text = error_answer(refused.code, refused.message, refused.field)
            return HTTPResponse(text, refused.status, content_type="application/json")
        return HTTPResponse(msgspec.json.encode(body), content_type="application/json")

    def key(request: Request) -> str | None:
        given: str | None = request.headers.get(KEY_HEADER)
        return given

    @app.post("/apps/<app_id:str>/events")
    async def events(request: Request, app_id: str) -> HTTPResponse:
        return await answer(
            request, app_id, lambda app, query: publishing.event(app, request.body, query.get("acks"), key(request))
        )

    @app.post("/apps/<app_id:str>/batch_events")
    async def batch_events(request: Request, app_id: str) -> HTTPResponse:
        return await answer(
            request, app_id, lambda app, query: publishing.batch(app, request.body, query.get("acks"), key(request))
        )

    @app.get("/apps/<app_id:str>/channels")
    async def channels(request: Request, app_id: str) -> HTTPResponse:
        return await answer(
            request,
            app_id,
            lambda app, query: publishing.channels(app, query.get("filter_by_prefix", ""), query.get("info")),
        )

    @app.get("/apps/<app_id:str>/channels/<name:str>", unquote=True)
    async def channel(request: Request, app_id: str, name: str) -> HTTPResponse:
        return await answer(request, app_id, lambda app, query: publishing.channel(app, name, query.get("info")))

    @app.get("/apps/<app_id:str>/channels/<name:str>/users", unquote=True)
    async def users(request: Request, app_id: str, name: str) -> HTTPResponse:
        return await answer(request, app_id, lambda app, _: publishing.users(app, name))

    @app.post("/apps/<app_id:str>/users/<user:str>/terminate_connections", unquote=True)
    async def terminate(request: Request, app_id: str, user: str) -> HTTPResponse:
        return await answer(request, app_id, lambda app, query: publishing.terminate(app, user, query.get("acks")))

    @app.post("/users/<user:str>/terminate_connections", unquote=True)
    async def terminate_by_key(request: Request, user: str) -> HTTPResponse:
        return await answer(request, None, lambda app, query: publishing.terminate(app, user, query.get("acks")))

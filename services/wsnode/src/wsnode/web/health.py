"""What load balancers and monitoring ask a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sanic import HTTPResponse, Request, Sanic


def add_health_routes(
    app: Sanic[Any, Any],
    *,
    node: str,
    location: str,
    reasons: Callable[[], list[str]],
    has_clients: Callable[[], bool],
    registry: CollectorRegistry,
) -> None:
    """`/livez`: the loop turns; `/readyz`: clients are welcome, or why not; `/metrics`: for Prometheus.

    A node that wants no more clients but has some answers 404, which HAProxy takes for "send no new ones, leave the
    present ones": the node moves them itself, spread over time. With 503 HAProxy would cut them all at once.
    """

    @app.get("/livez")
    async def livez(_: Request[Any, Any]) -> HTTPResponse:
        return HTTPResponse(b'{"live":true}', content_type="application/json")

    @app.get("/readyz")
    async def readyz(_: Request[Any, Any]) -> HTTPResponse:
        against = reasons()
        body = {"ready": not against, "reasons": against, "node": node, "location": location}
        status = 200 if not against else 404 if has_clients() else 503
        return HTTPResponse(msgspec.json.encode(body), status, content_type="application/json")

    @app.get("/metrics")
    async def metrics(_: Request[Any, Any]) -> HTTPResponse:
        return HTTPResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

"""What `/readyz` tells HAProxy: take clients, leave those there are, or cut."""

from __future__ import annotations

import itertools
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from sanic import Sanic
from sanic.server.protocols.http_protocol import HttpProtocol

from wsmesh.serving import Listener, bind
from wsnode.web.health import add_health_routes

_names = itertools.count()


@pytest.mark.parametrize(
    ("reasons", "clients", "status"),
    [([], 0, 200), ([], 3, 200), (["draining: …"], 3, 404), (["draining: …"], 0, 503), (["joining: …"], 0, 503)],
)
async def test_the_status_says_what_becomes_of_the_clients(reasons: list[str], clients: int, status: int) -> None:
    """200: send clients; 404: send none, but leave me mine; 503: I have none, or none that could be kept."""
    app: Sanic[Any, Any] = Sanic(f"health{next(_names)}", configure_logging=False)
    app.config.update(TOUCHUP=False, AUTO_EXTEND=False)
    add_health_routes(
        app,
        node="n1",
        location="here",
        reasons=lambda: reasons,
        has_clients=lambda: clients > 0,
        registry=CollectorRegistry(),
    )
    sock = bind("127.0.0.1", 0, "PORT")
    listener = Listener(app, sock, protocol=HttpProtocol)
    await listener.start()
    try:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/readyz"
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            assert answer.status == status
            assert await answer.json() == {"ready": not reasons, "reasons": reasons, "node": "n1", "location": "here"}
    finally:
        await listener.stop(1.0)

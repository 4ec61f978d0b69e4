"""The page that shows the OpenAPI document, all of it from here: no other host is asked for anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic_ext import openapi

STATIC = Path(__file__).parent / "static"

POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"

FILES = {
    "/docs": ("index.html", "text/html; charset=utf-8"),
    "/docs/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/docs/swagger-ui-bundle.js": ("swagger-ui-dist/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    "/docs/swagger-ui.css": ("swagger-ui-dist/swagger-ui.css", "text/css; charset=utf-8"),
}
"""What is served, by path: the file and its type."""


def install(app: Sanic[Any, Any]) -> None:
    """Serve the page and its files."""
    for path, (name, media) in FILES.items():
        _serve(app, path, STATIC / name, media)


def _serve(app: Sanic[Any, Any], path: str, file: Path, media: str) -> None:
    async def serve(_: Request) -> HTTPResponse:
        headers = {"content-security-policy": POLICY, "cache-control": "max-age=3600", "referrer-policy": "no-referrer"}
        return HTTPResponse(file.read_bytes(), 200, headers, media)

    openapi.exclude(True)(serve)
    app.add_route(serve, path, name=f"docs-{file.name.replace('.', '-')}")

"""Routes of what the registry publishes, and of its own state."""

from __future__ import annotations

import re

from sanic import HTTPResponse

from wsmesh.contract import ClusterConfig, Slots
from wsupdates.web import bodies, examples, metrics
from wsupdates.web.endpoint import Call, Endpoint, Parameter, answer, encoded
from wsupdates.web.shapes import Health, TargetGroup

MAX_WAIT = 60
NOT_MODIFIED = 304

_TAG = re.compile(r'(?:W/)?"([0-9]{1,19})"')


async def get_config(call: Call) -> HTTPResponse:
    """All that a node needs."""
    return await _published(call, "config")


async def get_slots(call: Call) -> HTTPResponse:
    """All that a balancer needs."""
    return await _published(call, "slots")


async def http_sd(call: Call) -> HTTPResponse:
    """What Prometheus watches. Lost nodes stay, so that somebody is told; one that said goodbye is not missed."""
    published = call.services.published
    await published.refresh()
    return answer([TargetGroup.of(member) for member in published.members.values() if member.state != "left"])


async def healthz(_: Call) -> HTTPResponse:
    """The process lives."""
    return answer(Health(status="ok"))


async def readyz(call: Call) -> HTTPResponse:
    """The database answers and is migrated."""
    await call.services.store.check()
    return answer(Health(status="ready"))


async def show_metrics(call: Call) -> HTTPResponse:
    """Figures for Prometheus."""
    published = call.services.published
    page = call.services.metrics.render(published.generation, published.members.values())
    return HTTPResponse(page, 200, {"content-type": metrics.CONTENT_TYPE})


async def _published(call: Call, what: str) -> HTTPResponse:
    wait = bodies.number(call.query("wait"), "wait", 0, 0, MAX_WAIT)
    tag = _TAG.fullmatch(call.request.headers.get("if-none-match", "").strip())
    published = call.services.published
    with call.services.metrics.waiting.track_inprogress():
        news = await published.other_than(int(tag.group(1)) if tag else None, wait)
    headers = {"etag": f'"{published.generation}"', "cache-control": "no-cache"}
    if not news:
        return HTTPResponse(status=NOT_MODIFIED, headers=headers)
    return encoded(published.config if what == "config" else published.slots, headers=headers)


WAITING = (
    Parameter(
        "If-None-Match", "The generation that is known, in quotes: the `ETag` before.", {"type": "string"}, "header"
    ),
    Parameter(
        "wait",
        "Seconds to wait for another generation than If-None-Match's before the answer is 304.",
        {"type": "integer", "minimum": 0, "maximum": MAX_WAIT, "default": 0},
    ),
)

ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/v1/config",
        get_config,
        "All that a node needs: live nodes, apps with their secrets, channel rules. Answers 304 when nothing changed.",
        "configuration",
        ("node", "admin"),
        answer=ClusterConfig,
        parameters=WAITING,
        unchanged=True,
        answer_example=examples.CONFIG,
    ),
    Endpoint(
        "GET",
        "/api/v1/slots",
        get_slots,
        "All that a balancer needs: the slots that hold live nodes. Answers 304 when nothing changed.",
        "configuration",
        ("balancer", "admin"),
        answer=Slots,
        parameters=WAITING,
        unchanged=True,
        answer_example=examples.SLOTS,
    ),
    Endpoint(
        "GET",
        "/api/v1/http_sd",
        http_sd,
        "The nodes as Prometheus finds them (http_sd_configs): ready, draining and lost ones, not those that left.",
        "configuration",
        ("balancer", "admin"),
        answer=list[TargetGroup],
        answer_example=examples.TARGETS,
    ),
    Endpoint("GET", "/healthz", healthz, "The process lives.", "state", answer=Health, answer_example={"status": "ok"}),
    Endpoint(
        "GET",
        "/readyz",
        readyz,
        "The database answers and all migrations are applied.",
        "state",
        answer=Health,
        answer_example={"status": "ready"},
    ),
    Endpoint("GET", "/metrics", show_metrics, "Figures for Prometheus.", "state", answer=str, media="text/plain"),
)

"""Routes of the webhooks of an app."""

from __future__ import annotations

from typing import Any

from sanic import HTTPResponse

from wsmesh.contract import Webhook
from wsupdates.domain import webhooks as domain
from wsupdates.domain.refusals import Refusal
from wsupdates.domain.webhooks import MAX_WEBHOOKS, WebhookSettings
from wsupdates.web import bodies, examples
from wsupdates.web.apps import ONE, UNKNOWN
from wsupdates.web.endpoint import Call, Endpoint, answer, nothing
from wsupdates.web.paging import PAGING
from wsupdates.web.shapes import WebhookPage

UNKNOWN_WEBHOOK = {"unknown_webhook": (404, "The app has no webhook of this name.")}


async def list_webhooks(call: Call) -> HTTPResponse:
    """Webhooks by name."""
    app = await call.services.apps.one(call.params["id"])
    after, limit = call.query("after") or "", call.limit()
    found = [webhook for webhook in app.webhooks if webhook.name > after]
    more = found[limit - 1].name if len(found) > limit else None
    return answer(WebhookPage(webhooks=found[:limit], next=more))


async def get_webhook(call: Call) -> HTTPResponse:
    """One webhook."""
    app = await call.services.apps.one(call.params["id"])
    return answer(domain.webhook(app, call.params["name"]))


async def put_webhook(call: Call) -> HTTPResponse:
    """Add or replace a webhook."""
    body: dict[str, Any] = call.body
    name = call.params["name"]
    if body.get("name", name) != name:
        raise Refusal(422, "schema", "the name of the body is not that of the path", "name")
    wanted = bodies.convert(body | {"name": name}, WebhookSettings)
    return answer(await call.services.apps.put_webhook(call.by, call.params["id"], wanted))


async def delete_webhook(call: Call) -> HTTPResponse:
    """Remove a webhook."""
    await call.services.apps.remove_webhook(call.by, call.params["id"], call.params["name"])
    return nothing()


WEBHOOKS = f"{ONE}/webhooks"
WEBHOOK = f"{WEBHOOKS}/<name:str>"

ENDPOINTS = (
    Endpoint(
        "GET",
        WEBHOOKS,
        list_webhooks,
        "Webhooks by name.",
        "webhooks",
        ("admin",),
        answer=WebhookPage,
        parameters=PAGING,
        errors=UNKNOWN,
        answer_example={"webhooks": [examples.WEBHOOK], "next": None},
    ),
    Endpoint(
        "GET",
        WEBHOOK,
        get_webhook,
        "One webhook.",
        "webhooks",
        ("admin",),
        answer=Webhook,
        errors=UNKNOWN | UNKNOWN_WEBHOOK,
        answer_example=examples.WEBHOOK,
    ),
    Endpoint(
        "PUT",
        WEBHOOK,
        put_webhook,
        "Add or replace a webhook; what the body leaves out has its default. A new one is told what is there already.",
        "webhooks",
        ("admin",),
        body=WebhookSettings,
        partial=True,
        closed=True,
        answer=Webhook,
        errors=UNKNOWN | {"too_many_webhooks": (409, f"The app has {MAX_WEBHOOKS} webhooks.")},
        example=examples.WEBHOOK_BODY,
        answer_example=examples.WEBHOOK,
    ),
    Endpoint(
        "DELETE",
        WEBHOOK,
        delete_webhook,
        "Remove a webhook.",
        "webhooks",
        ("admin",),
        status=204,
        errors=UNKNOWN | UNKNOWN_WEBHOOK,
    ),
)

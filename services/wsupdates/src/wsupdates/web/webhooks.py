"""Routes of the webhooks of an app."""

from __future__ import annotations

from sanic import HTTPResponse

from wsmesh.contract import Webhook
from wsupdates.domain.parts import WEBHOOKS
from wsupdates.domain.webhooks import WebhookSettings
from wsupdates.web import examples, parts
from wsupdates.web.apps import ONE, UNKNOWN
from wsupdates.web.endpoint import Call, Endpoint, answer, nothing
from wsupdates.web.paging import PAGING
from wsupdates.web.shapes import WebhookPage

UNKNOWN_WEBHOOK = {"unknown_webhook": (404, "The app has no webhook of this name.")}


async def list_webhooks(call: Call) -> HTTPResponse:
    """Webhooks by name."""
    found, more = await parts.page(call, WEBHOOKS)
    return answer(WebhookPage(webhooks=found, next=more))


async def get_webhook(call: Call) -> HTTPResponse:
    """One webhook."""
    return answer(await parts.one(call, WEBHOOKS))


async def put_webhook(call: Call) -> HTTPResponse:
    """Add or replace a webhook."""
    wanted = parts.wanted(call, WEBHOOKS, WebhookSettings)
    return answer(await call.services.apps.put_webhook(call.by, call.params["id"], wanted))


async def delete_webhook(call: Call) -> HTTPResponse:
    """Remove a webhook."""
    await parts.remove(call, WEBHOOKS)
    return nothing()


WEBHOOKS_PATH = f"{ONE}/webhooks"
WEBHOOK = f"{WEBHOOKS_PATH}/<name:str>"

ENDPOINTS = (
    Endpoint(
        "GET",
        WEBHOOKS_PATH,
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
        errors=UNKNOWN | {"too_many_webhooks": (409, f"The app has {WEBHOOKS.most} webhooks.")},
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

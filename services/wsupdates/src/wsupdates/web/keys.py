"""Routes of API keys and of the audit record."""

from __future__ import annotations

import msgspec
from sanic import HTTPResponse

from wsupdates.web import bodies, examples
from wsupdates.web.endpoint import Call, Endpoint, Parameter, answer, nothing
from wsupdates.web.paging import LIMIT, PAGING
from wsupdates.web.shapes import AuditPage, CreatedKey, KeyPage, NewKey

KEYS = "/api/v1/keys"


async def create_key(call: Call) -> HTTPResponse:
    """Make an API key."""
    new: NewKey = call.body
    key, secret = await call.services.keys.create(call.by, new.name, new.role, new.expires_days)
    return answer(CreatedKey(**msgspec.structs.asdict(key), key=secret), 201)


async def list_keys(call: Call) -> HTTPResponse:
    """API keys by id."""
    found, more = await call.services.keys.page(call.query("after") or "", call.limit())
    return answer(KeyPage(keys=found, next=more))


async def delete_key(call: Call) -> HTTPResponse:
    """End an API key."""
    await call.services.keys.revoke(call.by, call.params["id"])
    return nothing()


async def list_audit(call: Call) -> HTTPResponse:
    """The audit record."""
    after, limit = call.query("after"), call.limit()
    before = None if after is None else bodies.number(after, "after", 0, 0, 2**63 - 1)
    found = await call.services.administration.entries(before, limit + 1)
    more = str(found[limit - 1].id) if len(found) > limit else None
    return answer(AuditPage(entries=found[:limit], next=more))


ENDPOINTS = (
    Endpoint(
        "POST",
        KEYS,
        create_key,
        "Make an API key; the answer alone shows it.",
        "keys",
        ("admin",),
        body=NewKey,
        closed=True,
        answer=CreatedKey,
        status=201,
        example=examples.NEW_KEY,
        answer_example=examples.KEY | {"key": "wsm_balancer_shown once"},
    ),
    Endpoint(
        "GET",
        KEYS,
        list_keys,
        "API keys by id, expired ones too.",
        "keys",
        ("admin",),
        answer=KeyPage,
        parameters=PAGING,
        answer_example={"keys": [examples.KEY], "next": None},
    ),
    Endpoint(
        "DELETE",
        f"{KEYS}/<id:str>",
        delete_key,
        "End an API key now.",
        "keys",
        ("admin",),
        status=204,
        errors={
            "unknown_key": (404, "There is no key of this id."),
            "key_from_setting": (409, "The key is the setting API_KEY."),
        },
    ),
    Endpoint(
        "GET",
        "/api/v1/audit",
        list_audit,
        "Administrative changes, newest first, secrets masked.",
        "audit",
        ("admin",),
        answer=AuditPage,
        parameters=(
            LIMIT,
            Parameter("after", "Go on below this id: the `next` of the page before.", {"type": "string"}),
        ),
        answer_example={"entries": [examples.ENTRY], "next": None},
    ),
)

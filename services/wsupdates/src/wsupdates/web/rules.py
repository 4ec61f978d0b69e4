"""Routes of the channel rules of an app."""

from __future__ import annotations

from sanic import HTTPResponse

from wsmesh.contract import ChannelRule
from wsupdates.domain.parts import RULES
from wsupdates.web import examples, parts
from wsupdates.web.apps import ONE, UNKNOWN
from wsupdates.web.endpoint import Call, Endpoint, answer, nothing
from wsupdates.web.paging import PAGING
from wsupdates.web.shapes import RulePage

UNKNOWN_RULE = {"unknown_rule": (404, "The app has no rule of this pattern.")}


async def list_rules(call: Call) -> HTTPResponse:
    """Channel rules by pattern."""
    found, more = await parts.page(call, RULES)
    return answer(RulePage(rules=found, next=more))


async def get_rule(call: Call) -> HTTPResponse:
    """One channel rule."""
    return answer(await parts.one(call, RULES))


async def put_rule(call: Call) -> HTTPResponse:
    """Add or replace a channel rule."""
    rule = parts.wanted(call, RULES, ChannelRule)
    return answer(await call.services.apps.put(call.by, call.params["id"], RULES, rule))


async def delete_rule(call: Call) -> HTTPResponse:
    """Remove a channel rule."""
    await parts.remove(call, RULES)
    return nothing()


RULES_PATH = f"{ONE}/rules"
RULE = f"{RULES_PATH}/<pattern:str>"

ENDPOINTS = (
    Endpoint(
        "GET",
        RULES_PATH,
        list_rules,
        "Channel rules by pattern.",
        "rules",
        ("admin",),
        answer=RulePage,
        parameters=PAGING,
        errors=UNKNOWN,
        answer_example={"rules": [examples.RULE], "next": None},
    ),
    Endpoint(
        "GET",
        RULE,
        get_rule,
        "One channel rule; the pattern is URL-escaped in the path.",
        "rules",
        ("admin",),
        answer=ChannelRule,
        errors=UNKNOWN | UNKNOWN_RULE,
        answer_example=examples.RULE,
    ),
    Endpoint(
        "PUT",
        RULE,
        put_rule,
        "Add or replace a channel rule; what the body leaves out has its default.",
        "rules",
        ("admin",),
        body=ChannelRule,
        partial=True,
        closed=True,
        answer=ChannelRule,
        errors=UNKNOWN | {"too_many_rules": (409, f"The app has {RULES.most} rules.")},
        example=examples.RULE_BODY,
        answer_example=examples.RULE,
    ),
    Endpoint(
        "DELETE",
        RULE,
        delete_rule,
        "Remove a channel rule.",
        "rules",
        ("admin",),
        status=204,
        errors=UNKNOWN | UNKNOWN_RULE,
    ),
)

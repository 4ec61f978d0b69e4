"""What the routes of channel rules and of webhooks have in common; the path ends with the part's name."""

from __future__ import annotations

from typing import Any, TypeVar

from wsupdates.domain.parts import Part, Parts
from wsupdates.domain.refusals import Refusal
from wsupdates.web import bodies
from wsupdates.web.endpoint import Call

Body = TypeVar("Body")


async def page(call: Call, parts: Parts[Part]) -> tuple[list[Part], str | None]:
    """A page of them by name, and the name to go on after when there are more."""
    app = await call.services.apps.one(call.params["id"])
    after, limit = call.query("after") or "", call.limit()
    found = [part for part in parts.all(app) if parts.name_of(part) > after]
    return found[:limit], parts.name_of(found[limit - 1]) if len(found) > limit else None


async def one(call: Call, parts: Parts[Part]) -> Part:
    """The one that the path names. Raises Refusal when there is none."""
    return parts.one(await call.services.apps.one(call.params["id"]), call.params[parts.name])


def wanted(call: Call, parts: Parts[Part], shape: type[Body]) -> Body:
    """The body, with the name that the path gives. Raises Refusal when the body gives another one."""
    body: dict[str, Any] = call.body
    name = call.params[parts.name]
    if body.get(parts.name, name) != name:
        raise Refusal(422, "schema", f"the {parts.name} of the body is not that of the path", parts.name)
    return bodies.convert(body | {parts.name: name}, shape)


async def remove(call: Call, parts: Parts[Part]) -> None:
    """Remove the one that the path names. Raises Refusal when there is none."""
    await call.services.apps.remove(call.by, call.params["id"], parts, call.params[parts.name])

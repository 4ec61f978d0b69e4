"""Routes of apps."""

from __future__ import annotations

import msgspec
from sanic import HTTPResponse

from wsupdates.domain import apps as domain
from wsupdates.domain.apps import PREFIX, AppSettings, AppView, CreatedApp, NewApp
from wsupdates.domain.keys import digest
from wsupdates.web import bodies, examples
from wsupdates.web.endpoint import Call, Endpoint, answer, nothing
from wsupdates.web.paging import PAGING
from wsupdates.web.shapes import AppPage, PublishKeyAnswer, SecretAnswer

UNKNOWN = {"unknown_app": (404, "There is no app of this id.")}


async def create_app(call: Call) -> HTTPResponse:
    """Add an app."""
    return answer(await call.services.apps.create(call.by, call.body), 201)


async def list_apps(call: Call) -> HTTPResponse:
    """Apps by id."""
    found, more = await call.services.apps.page(call.query("after") or "", call.limit())
    return answer(AppPage(apps=found, next=more))


async def get_app(call: Call) -> HTTPResponse:
    """One app."""
    return answer(domain.view(await call.services.apps.one(call.params["id"])))


async def change_app(call: Call) -> HTTPResponse:
    """Change the named settings."""
    try:
        return answer(await call.services.apps.change(call.by, call.params["id"], call.body))
    except msgspec.ValidationError as problem:
        raise bodies.schema(problem) from None


async def delete_app(call: Call) -> HTTPResponse:
    """Remove an app."""
    await call.services.apps.delete(call.by, call.params["id"])
    return nothing()


async def rotate_secret(call: Call) -> HTTPResponse:
    """Another secret."""
    return answer(SecretAnswer(secret=await call.services.apps.rotate_secret(call.by, call.params["id"])))


async def create_publish_key(call: Call) -> HTTPResponse:
    """One more publish key."""
    key = await call.services.apps.add_publish_key(call.by, call.params["id"])
    return answer(PublishKeyAnswer(id=digest(key)[:PREFIX], publish_key=key), 201)


async def delete_publish_key(call: Call) -> HTTPResponse:
    """End a publish key."""
    await call.services.apps.remove_publish_key(call.by, call.params["id"], call.params["prefix"])
    return nothing()


APP, ONE = "/api/v1/apps", "/api/v1/apps/<id:str>"
KEYS = f"{ONE}/publish-keys"

ENDPOINTS = (
    Endpoint(
        "POST",
        APP,
        create_app,
        "Add an app; id, key and secret are generated unless given. The answer alone shows secret and publish key.",
        "apps",
        ("admin",),
        body=NewApp,
        closed=True,
        answer=CreatedApp,
        status=201,
        errors={
            "app_exists": (409, "There is an app of this id."),
            "key_in_use": (409, "Another app has this key."),
        },
        example=examples.NEW_APP,
        answer_example=examples.CREATED_APP,
    ),
    Endpoint(
        "GET",
        APP,
        list_apps,
        "Apps by id, without secrets.",
        "apps",
        ("admin",),
        answer=AppPage,
        parameters=PAGING,
        answer_example={"apps": [examples.APP], "next": None},
    ),
    Endpoint(
        "GET",
        ONE,
        get_app,
        "One app, without its secret.",
        "apps",
        ("admin",),
        answer=AppView,
        errors=UNKNOWN,
        answer_example=examples.APP,
    ),
    Endpoint(
        "PATCH",
        ONE,
        change_app,
        "Change the settings that are named, inside `limits` too; the others stay.",
        "apps",
        ("admin",),
        body=AppSettings,
        partial=True,
        closed=True,
        answer=AppView,
        errors=UNKNOWN,
        example={"enabled": False, "limits": {"max_connections": 100}},
        answer_example=examples.APP | {"enabled": False},
    ),
    Endpoint(
        "DELETE",
        ONE,
        delete_app,
        "Remove an app with its rules and keys; its clients are closed by the nodes.",
        "apps",
        ("admin",),
        status=204,
        errors=UNKNOWN,
    ),
    Endpoint(
        "POST",
        f"{ONE}/secret",
        rotate_secret,
        "Give the app another secret, shown once; the old one ends at once.",
        "apps",
        ("admin",),
        answer=SecretAnswer,
        errors=UNKNOWN,
        answer_example={"secret": "shown once"},
    ),
    Endpoint(
        "POST",
        KEYS,
        create_publish_key,
        "Give the app one more publish key, shown once; earlier ones stay valid.",
        "apps",
        ("admin",),
        answer=PublishKeyAnswer,
        status=201,
        errors=UNKNOWN | {"too_many_publish_keys": (409, "The app has 100 publish keys.")},
        answer_example={"id": "5f0c2b9d1e7a", "publish_key": "wsp_shown once"},
    ),
    Endpoint(
        "DELETE",
        f"{KEYS}/<prefix:str>",
        delete_publish_key,
        "End the publish key whose SHA-256 begins with these 8 to 64 hexadecimal digits.",
        "apps",
        ("admin",),
        status=204,
        errors=UNKNOWN | {"unknown_publish_key": (404, "No single publish key of the app begins so.")},
    ),
)

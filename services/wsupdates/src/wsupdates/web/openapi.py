"""The OpenAPI document, made of the endpoints and of the same shapes that bodies are checked with."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from sanic import Sanic
from sanic_ext import Extend
from sanic_ext.config import Config
from sanic_ext.extensions.openapi import builders
from sanic_ext.extensions.openapi.definitions import Parameter, Response
from sanic_ext.extensions.openapi.extension import OpenAPIExtension

from wsmesh import __version__
from wsmesh.contract import ErrorAnswer, ErrorBody, error_answer
from wsupdates.web.endpoint import Endpoint

REF = "#/components/schemas/{name}"

BODY_ERRORS = {
    "not_json": (400, "The body is not JSON."),
    "too_large": (413, "The body is larger than MAX_BODY_BYTES."),
}
SCHEMA_ERROR = {"schema": (422, "A field is missing or wrong; `field` names it.")}
KEY_ERRORS = {
    "key_missing": (401, "No API key was sent."),
    "key_invalid": (401, "The API key is not known."),
    "key_expired": (401, "The API key has expired."),
    "role": (403, "The key's role may not do this."),
    "rate": (429, "The key made more requests than REQUESTS_PER_SECOND."),
}
DATABASE_ERROR = {"database": (503, "The database does not answer; nothing was changed.")}
INTERNAL_ERROR = {"internal": (500, "The registry failed; the id in the message is in its log.")}

_builders: Any = builders
"""sanic-ext has no types for it."""

ABOUT = (
    "Nodes register here, balancers ask here for the slots, administrators manage apps, rules and keys. "
    "Every error has the shape ErrorAnswer; its code is a fixed word."
)


class _Document(OpenAPIExtension):  # type: ignore[no-untyped-call]
    """sanic-ext's document alone: its pages load their scripts from elsewhere, ours is in docs.py."""

    name = "document"

    def label(self) -> str:
        """Where people find it."""
        return "/docs"


def install(app: Sanic[Any, Any], handlers: Iterable[tuple[Endpoint, Callable[..., Awaitable[Any]]]]) -> None:
    """Serve the document as /docs/openapi.json."""
    # sanic-ext keeps one document for the process; a second app in it starts anew.
    _builders.SpecificationBuilder.reset()
    _builders.OperationStore.reset()
    Extend(
        app,
        extensions=[_Document],
        built_in_extensions=False,
        config=Config(oas_ui_redoc=False, oas_ui_swagger=False, oas_autodoc=False),
    )
    document = _builders.SpecificationBuilder()
    document.describe("wsmesh registry", __version__, ABOUT)
    document.add_security_scheme("key", "http", scheme="bearer", description="An API key of the registry.")
    pairs = list(handlers)
    for name, schema in components(endpoint for endpoint, _ in pairs).items():
        document.add_component("schemas", name, schema)
    for endpoint, handler in pairs:
        _describe(_builders.OperationStore()[handler], endpoint)


def errors_of(endpoint: Endpoint) -> dict[str, tuple[int, str]]:
    """Every error that the endpoint answers with: code to status and meaning."""
    found = dict(endpoint.errors)
    if endpoint.body is not None or endpoint.method == "DELETE":
        found |= BODY_ERRORS
    if endpoint.body is not None or endpoint.parameters or "<" in endpoint.path:
        found |= SCHEMA_ERROR
    if endpoint.roles:
        found |= KEY_ERRORS
    if endpoint.roles or endpoint.name == "readyz":
        found |= DATABASE_ERROR
    return found | INTERNAL_ERROR


def components(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The schemas of all bodies and answers, by name."""
    kinds = {ErrorAnswer, ErrorBody}
    for endpoint in endpoints:
        kinds |= {kind for kind in (endpoint.body, endpoint.answer) if kind not in (None, str)}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, found = msgspec.json.schema_components(ordered, ref_template=REF)
    return {name: as_version_3_0(schema) for name, schema in found.items()}


def as_version_3_0(schema: Any) -> Any:
    """A JSON Schema of msgspec in the words of OpenAPI 3.0, which is what sanic-ext writes."""
    if isinstance(schema, list):
        return [as_version_3_0(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    new = {name: as_version_3_0(value) for name, value in schema.items()}
    if {"type": "null"} in new.get("anyOf", ()):
        rest = [one for one in new.pop("anyOf") if one != {"type": "null"}]
        new |= {"nullable": True} | ({"allOf": rest} if len(rest) > 1 or "$ref" in rest[0] else rest[0])
    for name, other in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if not isinstance(new.get(name, True), bool):
            new |= {other: new[name], name: True}
    return new


def body_schema(endpoint: Endpoint) -> dict[str, Any]:
    """The schema of the endpoint's body; in a partial one nothing is required."""
    if not endpoint.partial:
        return {"$ref": REF.format(name=endpoint.body.__name__)}
    _, found = msgspec.json.schema_components([endpoint.body], ref_template=REF)
    schema = dict(as_version_3_0(found[endpoint.body.__name__]))
    schema.pop("required", None)
    return schema


def _describe(operation: Any, endpoint: Endpoint) -> None:
    operation.name(endpoint.name)
    operation.describe(endpoint.about)
    operation.tag(endpoint.tag)
    if endpoint.roles:
        operation.describe(description=f"Role: {' or '.join(endpoint.roles)}.")
        operation.secured("key")
    if endpoint.body is not None:
        media = {"schema": body_schema(endpoint), "example": endpoint.example}
        operation.body({"application/json": media}, required=True)
    for name in re.findall(r"<(\w+):str>", endpoint.path):
        operation.parameters.append(_parameter(name, _text(), "path"))
    for one in endpoint.parameters:
        operation.parameters.append(_parameter(one.name, dict(one.schema), one.place, one.about))
    _describe_answers(operation, endpoint)


def _describe_answers(operation: Any, endpoint: Endpoint) -> None:
    answers: dict[int, Response] = operation.responses
    media: dict[str, Any] = {}
    if endpoint.answer is str:
        media = {endpoint.media: {"schema": _text()}}
    elif endpoint.answer is not None:
        (schema,), _ = msgspec.json.schema_components([endpoint.answer], ref_template=REF)
        media = {endpoint.media: {"schema": schema, "example": endpoint.answer_example}}
    answers[endpoint.status] = Response(media, description="Done.")
    if endpoint.unchanged:
        answers[304] = Response({}, description="Nothing changed since If-None-Match.")
    by_status: dict[int, dict[str, str]] = {}
    for code, (status, meaning) in errors_of(endpoint).items():
        by_status.setdefault(status, {})[code] = meaning
    for status, codes in sorted(by_status.items()):
        answers[status] = _error_response(codes)


def _error_response(codes: dict[str, str]) -> Response:
    shown = {
        code: {"summary": meaning, "value": msgspec.json.decode(error_answer(code, meaning))}
        for code, meaning in codes.items()
    }
    media = {"schema": {"$ref": REF.format(name="ErrorAnswer")}, "examples": shown}
    text = " ".join(f"`{code}`: {meaning}" for code, meaning in codes.items())
    return Response({"application/json": media}, description=text)


def _parameter(name: str, schema: Any, place: str, about: str | None = None) -> Parameter:
    return Parameter(name, schema, place, about, required=place == "path")


def _text() -> dict[str, Any]:
    return {"type": "string"}

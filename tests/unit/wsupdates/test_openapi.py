from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from tests.support.registry import Api
from wsupdates.web import docs, openapi
from wsupdates.web.endpoint import Endpoint
from wsupdates.web.routes import ENDPOINTS


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    """The document as it is served."""
    found: dict[str, Any] = (await api("GET", "/docs/openapi.json", role=None)).json
    return found


def path_of(endpoint: Endpoint) -> str:
    return re.sub(r"<(\w+):str>", r"{\1}", endpoint.path)


async def test_every_route_is_in_the_document(document: dict[str, Any]) -> None:
    """The document has every route and no other."""
    there = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert there == {(endpoint.method, path_of(endpoint)) for endpoint in ENDPOINTS}


async def test_every_operation_is_complete(document: dict[str, Any]) -> None:
    """Each operation has its parameters, its answer with an example, its errors by code, and its key."""
    for endpoint in ENDPOINTS:
        operation = document["paths"][path_of(endpoint)][endpoint.method.lower()]
        names = [one["name"] for one in operation.get("parameters", [])]
        assert names == re.findall(r"<(\w+):", endpoint.path) + [one.name for one in endpoint.parameters]
        assert operation["summary"] == endpoint.about
        assert ("security" in operation) == bool(endpoint.roles)
        assert ("requestBody" in operation) == (endpoint.body is not None)
        responses = operation["responses"]
        assert str(endpoint.status) in responses
        for code, (status, _) in openapi.errors_of(endpoint).items():
            example = responses[str(status)]["content"]["application/json"]["examples"][code]["value"]
            assert example["error"]["code"] == code


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """Every shape that is named is there, and every field of a shape of ours has a type."""
    raw = msgspec.json.encode(document).decode()
    schemas = document["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', raw)) <= set(schemas)
    assert "null" not in re.findall(r'"type":"(\w+)"', raw)
    for schema in schemas.values():
        for found in schema.get("properties", {}).values():
            assert found.keys() & {"type", "$ref", "anyOf", "allOf", "enum"} or found == {}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_examples_have_their_shapes(endpoint: Endpoint) -> None:
    """Each example is what the code takes or gives."""
    if endpoint.body is not None:
        assert endpoint.example is not None
        named = {"pattern": "news-*", "name": "orders"}
        rest = {name: value for name, value in named.items() if f"<{name}" in endpoint.path and endpoint.partial}
        msgspec.convert(endpoint.example | rest, endpoint.body)
    if endpoint.answer not in (None, str):
        value = msgspec.convert(endpoint.answer_example, endpoint.answer)
        assert msgspec.json.decode(msgspec.json.encode(value)) == endpoint.answer_example


async def test_the_page_asks_no_other_host(api: Api) -> None:
    """The page and its own script name no other host, the policy forbids one, and every file it names is served."""
    page = await api("GET", "/docs", role=None)
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    script = (docs.STATIC / "page.js").read_text()
    assert "//" not in page.raw.decode() + script
    assert "validatorUrl: null" in script
    named = re.findall(r'(?:src|href)="(/[^"]+)"', page.raw.decode())
    assert set(named) == set(docs.FILES) - {"/docs"}
    for path in named:
        assert (await api("GET", path, role=None)).status == 200

from __future__ import annotations

import msgspec
import pytest

from tests.support.raw_http import ask
from tests.support.registry import Api, Clock, registration
from wsmesh.contract import ErrorAnswer
from wsupdates.usecases.store import StoreUnavailable
from wsupdates.web.services import Services


async def test_no_key(api: Api) -> None:
    """A call without a key is told how to send one."""
    answer = await api("GET", "/api/v1/config", role=None)
    assert answer.error == (401, "key_missing", None)
    assert answer.message == "send an API key: `Authorization: Bearer <key>`"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer wsm_admin_x", "bearer  wrong"])
async def test_unknown_key(api: Api, header: str) -> None:
    """A key that is not known is refused, and the answer does not say how close it was."""
    answer = await api("GET", "/api/v1/config", role=None, headers={"authorization": header})
    assert answer.error == (401, "key_invalid", None)
    assert answer.message == "this API key is not known; make one with `wsupdates keys create`"


async def test_a_key_of_any_bytes(api: Api) -> None:
    """A key that is no text is a key that is not known."""
    request = b"GET /api/v1/config HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n"
    status, body = await ask(int(api.url.rpartition(":")[2]), request)
    assert (status, msgspec.json.decode(body, type=ErrorAnswer).error.code) == (401, "key_invalid")


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "Bearer ", "wsm_admin_x"])
async def test_other_scheme(api: Api, header: str) -> None:
    """A header that holds no bearer key counts as no key."""
    answer = await api("GET", "/api/v1/config", role=None, headers={"authorization": header})
    assert answer.error == (401, "key_missing", None)


async def test_expired_key(api: Api, services: Services, clock: Clock) -> None:
    """A key is valid until its expiry and not a moment longer."""
    _, api.keys["short"] = await services.keys.create("test", "short", "admin", 1)
    clock.now += 86_399
    assert (await api("GET", "/api/v1/nodes", role="short")).status == 200
    clock.now += 1
    answer = await api("GET", "/api/v1/nodes", role="short")
    assert answer.error == (401, "key_expired", None)
    assert answer.message == "this API key has expired; make one with `wsupdates keys create`"


@pytest.mark.parametrize(
    ("method", "path", "role", "needed"),
    [
        ("POST", "/api/v1/nodes", "admin", "node"),
        ("POST", "/api/v1/nodes", "balancer", "node"),
        ("POST", "/api/v1/nodes/n1/heartbeat", "admin", "node"),
        ("DELETE", "/api/v1/nodes/n1", "balancer", "node or admin"),
        ("GET", "/api/v1/config", "balancer", "node or admin"),
        ("GET", "/api/v1/slots", "node", "balancer or admin"),
        ("GET", "/api/v1/nodes", "node", "admin"),
        ("POST", "/api/v1/nodes/n1/drain", "node", "admin"),
        ("POST", "/api/v1/apps", "node", "admin"),
        ("GET", "/api/v1/keys", "balancer", "admin"),
        ("POST", "/api/v1/keys", "node", "admin"),
        ("GET", "/api/v1/audit", "node", "admin"),
    ],
)
async def test_wrong_role(api: Api, method: str, path: str, role: str, needed: str) -> None:
    """A key of another role is refused before its body is looked at."""
    answer = await api(method, path, role=role, data=b"not json")
    assert answer.error == (403, "role", None)
    assert answer.message == f"this needs a key of role {needed}; this one is of role {role}"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": "no/slash"}, "id"),
        ({"id": 7}, "id"),
        ({"run": "x"}, "run"),
        ({"client_address": "no-port"}, "client_address"),
        ({"client_address": "host:0"}, "client_address"),
        ({"client_address": "host:65536"}, "client_address"),
        ({"mesh_address": "ftp://x"}, "mesh_address"),
        ({"weight": 257}, "weight"),
        ({"weight": -1}, "weight"),
        ({"location": None}, "location"),
    ],
)
async def test_bad_registration(api: Api, services: Services, change: dict[str, object], field: str) -> None:
    """A registration with a wrong field is refused with its name, and nothing changes."""
    before = services.published.generation
    answer = await api("POST", "/api/v1/nodes", role="node", json=registration() | change)
    assert answer.error == (422, "schema", field)
    assert await services.store.members() == []
    assert await services.store.generation() == before


async def test_missing_field(api: Api) -> None:
    """A missing field is named, with the path to it."""
    body = registration()
    del body["run"]
    answer = await api("POST", "/api/v1/nodes", role="node", json=body)
    assert answer.error == (422, "schema", "run")
    assert answer.message == "Object missing required field `run`"


async def test_newer_fields_of_nodes_are_ignored(api: Api) -> None:
    """A node of a newer version may send fields that this registry does not know."""
    answer = await api("POST", "/api/v1/nodes", role="node", json=registration(later="x"))
    assert answer.status == 200


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"id": "\xff"}', b"{'a':1}", b"[" * 3000])
async def test_not_json(api: Api, data: bytes) -> None:
    """A body that is not JSON is refused as such."""
    answer = await api("POST", "/api/v1/nodes", role="node", data=data)
    assert answer.error == (400, "not_json", None)


@pytest.mark.parametrize("data", [b"[]", b"7", b"null", b'"text"'])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/v1/apps"), ("PATCH", "/api/v1/apps/a"), ("PUT", "/api/v1/apps/a/rules/x")]
)
async def test_not_an_object(api: Api, method: str, path: str, data: bytes) -> None:
    """JSON that is no object is a schema error."""
    await api("POST", "/api/v1/apps", json={"id": "a"})
    assert (await api(method, path, data=data)).error == (422, "schema", None)


async def test_body_too_large(api: Api) -> None:
    """A body beyond MAX_BODY_BYTES is refused unread."""
    answer = await api("POST", "/api/v1/nodes", role="node", data=b" " * 5000)
    assert answer.error == (413, "too_large", None)
    assert answer.message == "the body may have 4096 bytes (MAX_BODY_BYTES)"


async def test_unknown_route(api: Api) -> None:
    """An unknown path has the error shape."""
    answer = await api("GET", "/api/v1/nothing")
    assert answer.error == (404, "not_found", None)
    assert answer.message == "there is no /api/v1/nothing here; see /docs"


async def test_wrong_method(api: Api) -> None:
    """A path that exists says so, and which methods it takes."""
    answer = await api("PUT", "/api/v1/nodes")
    assert answer.error == (405, "method_not_allowed", None)
    assert answer.message == "/api/v1/nodes does not take PUT; see /docs"
    assert set(answer.headers["allow"].split(", ")) == {"GET", "POST"}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/v1/apps?limit=0", "limit"),
        ("/api/v1/apps?limit=1001", "limit"),
        ("/api/v1/apps?limit=x", "limit"),
        ("/api/v1/keys?limit=-1", "limit"),
        ("/api/v1/audit?after=x", "after"),
        ("/api/v1/config?wait=61", "wait"),
        ("/api/v1/config?wait=1.5", "wait"),
        ("/api/v1/slots?wait=-1", "wait"),
    ],
)
async def test_bad_query(api: Api, path: str, field: str) -> None:
    """A number of the query that is none, or out of bounds, is named."""
    assert (await api("GET", path)).error == (422, "schema", field)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/v1/nodes/none", "unknown_node"),
        ("DELETE", "/api/v1/nodes/none", "unknown_node"),
        ("POST", "/api/v1/nodes/none/drain", "unknown_node"),
        ("GET", "/api/v1/apps/none", "unknown_app"),
        ("DELETE", "/api/v1/apps/none", "unknown_app"),
        ("POST", "/api/v1/apps/none/secret", "unknown_app"),
        ("GET", "/api/v1/apps/none/rules", "unknown_app"),
        ("DELETE", "/api/v1/keys/none", "unknown_key"),
    ],
)
async def test_unknown_things(api: Api, method: str, path: str, code: str) -> None:
    """What is not there is 404 with a code of its own."""
    answer = await api(method, path)
    assert answer.error[:2] == (404, code)


async def test_too_many_requests(api: Api, services: Services, clock: Clock) -> None:
    """A key that asks too often gets 429 until a moment has passed; other keys do not notice."""
    node = next(key for key in (await services.keys.page("", 10))[0] if key.role == "node")
    assert sum(services.rates.take(node.id, clock.now) for _ in range(1100)) == 1000
    answer = await api("GET", "/api/v1/config", role="node")
    assert answer.error == (429, "rate", None)
    assert answer.headers["retry-after"] == "1"
    assert (await api("GET", "/api/v1/config", role="admin")).status == 200
    clock.now += 1
    assert (await api("GET", "/api/v1/config", role="node")).status == 200


async def test_no_traceback_to_the_caller(
    api: Api, services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure inside shows the caller an id alone; the log has the same id and the reason."""

    async def fail(*_: object) -> None:
        raise RuntimeError("inner detail")

    monkeypatch.setattr(services.apps, "page", fail)
    answer = await api("GET", "/api/v1/apps")
    assert answer.error == (500, "internal", None)
    assert b"inner detail" not in answer.raw
    number = answer.message.rsplit(" ", 1)[-1]
    logged = capsys.readouterr()
    assert number in logged.out + logged.err
    assert "inner detail" in logged.out + logged.err


async def test_database_down(api: Api, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer is 503, which says that nothing was changed."""

    async def fail(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(services.apps, "page", fail)
    answer = await api("GET", "/api/v1/apps")
    assert answer.error == (503, "database", None)
    assert answer.message == "the registry's database does not answer; nothing was changed, try again"

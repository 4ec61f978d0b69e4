from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from tortoise import connections

from tests.support.registry import Api
from wsmesh.contract import App, ChannelRule, ClusterConfig
from wsupdates import app as registry
from wsupdates.settings import RegistrySettings


async def app_of(api: Api, app_id: str) -> App:
    """The app as the nodes get it."""
    config = msgspec.json.decode((await api("GET", "/api/v1/config", role="node")).raw, type=ClusterConfig)
    return next(app for app in config.apps if app.id == app_id)


async def test_a_new_app_gets_what_was_left_out(api: Api) -> None:
    """Id, key, secret and publish key are generated, shown once, and reach the nodes at once."""
    made = (await api("POST", "/api/v1/apps", json={})).json
    assert made["id"].isdecimal(), "Pusher's Python library takes no other ids"
    app = await app_of(api, made["id"])
    assert (app.key, app.secret) == (made["key"], made["secret"])
    assert app.publish_keys == [hashlib.sha256(made["publish_key"].encode()).hexdigest()]
    assert len(made["secret"]) == 43
    again = (await api("POST", "/api/v1/apps", json={})).json
    assert all(made[name] != again[name] for name in ("id", "key", "secret", "publish_key"))


async def test_a_new_app_keeps_what_was_given(api: Api) -> None:
    """Id, key, secret and settings may be given."""
    body: dict[str, Any] = {
        "id": "shop",
        "key": "shopkey",
        "secret": "s" * 16,
        "name": "The shop",
        "enabled": False,
        "allowed_origins": ["https://*.example.com"],
        "limits": {"max_connections": 5},
    }
    answer = await api("POST", "/api/v1/apps", json=body)
    assert answer.status == 201
    app = await app_of(api, "shop")
    assert (app.key, app.secret, app.name, app.enabled) == ("shopkey", "s" * 16, "The shop", False)
    assert app.allowed_origins == ["https://*.example.com"]
    assert (app.limits.max_connections, app.limits.max_data_bytes) == (5, 10_240)


async def test_secrets_are_shown_once(api: Api) -> None:
    """Neither reading, listing nor changing an app shows a secret."""
    made = (await api("POST", "/api/v1/apps", json={"id": "shop"})).json
    answers = [
        await api("GET", "/api/v1/apps/shop"),
        await api("GET", "/api/v1/apps"),
        await api("PATCH", "/api/v1/apps/shop", json={"name": "x"}),
        await api("GET", "/api/v1/audit"),
    ]
    for answer in answers:
        assert answer.status == 200
        assert made["secret"].encode() not in answer.raw
        assert made["publish_key"].encode() not in answer.raw
    assert answers[0].json["publish_keys"] == made["publish_keys"]


@pytest.mark.parametrize(
    ("second", "code", "field"),
    [({"id": "shop"}, "app_exists", "id"), ({"id": "other", "key": "shopkey"}, "key_in_use", "key")],
)
async def test_ids_and_keys_are_unique(api: Api, second: dict[str, str], code: str, field: str) -> None:
    """A second app with the id or key of another is refused."""
    await api("POST", "/api/v1/apps", json={"id": "shop", "key": "shopkey"})
    before = (await api("GET", "/api/v1/config")).raw
    assert (await api("POST", "/api/v1/apps", json=second)).error == (409, code, field)
    assert (await api("GET", "/api/v1/config")).raw == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"id": "a b"}, "id"),
        ({"key": ""}, "key"),
        ({"secret": "short"}, "secret"),
        ({"secret": "ümlautümlautümlaut"}, "secret"),
        ({"nmae": "x"}, "nmae"),
        ({"limits": {"max_conections": 5}}, "limits.max_conections"),
        ({"limits": {"max_connections": -1}}, "limits.max_connections"),
        ({"limits": {"max_data_bytes": 2_000_000}}, "limits.max_data_bytes"),
        ({"limits": 5}, "limits"),
        ({"allowed_origins": ["example.com"]}, "allowed_origins[0]"),
        ({"allowed_origins": "https://example.com"}, "allowed_origins"),
        ({"enabled": "yes"}, "enabled"),
    ],
)
async def test_bad_apps(api: Api, body: dict[str, Any], field: str) -> None:
    """A wrong or misspelt field is named, and no app is made."""
    assert (await api("POST", "/api/v1/apps", json=body)).error == (422, "schema", field)
    assert (await api("GET", "/api/v1/apps")).json == {"apps": [], "next": None}


async def test_a_change_names_what_it_changes(api: Api) -> None:
    """A PATCH leaves what it does not name as it was, inside limits too."""
    await api("POST", "/api/v1/apps", json={"id": "shop", "name": "The shop", "limits": {"publishes_per_second": 9}})
    answer = await api("PATCH", "/api/v1/apps/shop", json={"enabled": False, "limits": {"max_connections": 5}})
    assert (answer.json["name"], answer.json["enabled"]) == ("The shop", False)
    assert (answer.json["limits"]["publishes_per_second"], answer.json["limits"]["max_connections"]) == (9, 5)
    assert (await app_of(api, "shop")).enabled is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"id": "new"}, "id"),
        ({"secret": "x" * 20}, "secret"),
        ({"enabled": None}, "enabled"),
        ({"limits": {"max_connections": "5"}}, "limits.max_connections"),
        ({"limits": None}, "limits"),
    ],
)
async def test_bad_changes(api: Api, body: dict[str, Any], field: str) -> None:
    """What cannot be changed, or not to this, is named, and the app stays as it was."""
    await api("POST", "/api/v1/apps", json={"id": "shop"})
    before = (await api("GET", "/api/v1/config")).raw
    assert (await api("PATCH", "/api/v1/apps/shop", json=body)).error == (422, "schema", field)
    assert (await api("GET", "/api/v1/config")).raw == before


async def test_a_deleted_app_is_gone(api: Api) -> None:
    """Deleting takes an app from the nodes, and its key may be used again."""
    await api("POST", "/api/v1/apps", json={"id": "shop", "key": "shopkey"})
    assert (await api("DELETE", "/api/v1/apps/shop")).status == 204
    assert (await api("GET", "/api/v1/config")).json["apps"] == []
    assert (await api("POST", "/api/v1/apps", json={"id": "shop2", "key": "shopkey"})).status == 201


async def test_rotating_a_secret(api: Api) -> None:
    """The new secret is shown once and reaches the nodes."""
    old = (await api("POST", "/api/v1/apps", json={"id": "shop"})).json["secret"]
    new = (await api("POST", "/api/v1/apps/shop/secret")).json["secret"]
    assert new != old
    assert (await app_of(api, "shop")).secret == new


async def test_publish_keys(api: Api) -> None:
    """Several publish keys are valid at once; one is ended by the beginning of its hash."""
    first = (await api("POST", "/api/v1/apps", json={"id": "shop"})).json["publish_keys"][0]
    second = (await api("POST", "/api/v1/apps/shop/publish-keys")).json
    digest = hashlib.sha256(second["publish_key"].encode()).hexdigest()
    assert second["id"] == digest[:12]
    assert len((await app_of(api, "shop")).publish_keys) == 2
    assert (await api("DELETE", f"/api/v1/apps/shop/publish-keys/{first}")).status == 204
    assert (await app_of(api, "shop")).publish_keys == [digest]
    assert (await api("DELETE", f"/api/v1/apps/shop/publish-keys/{first}")).error == (
        404,
        "unknown_publish_key",
        "prefix",
    )
    assert (await api("DELETE", "/api/v1/apps/shop/publish-keys/abc")).error == (422, "schema", "prefix")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("news-*", "news-*"), ("*", "%2A"), ("a;b=c,d@e.f", "a%3Bb%3Dc%2Cd%40e.f"), ("private-*", "private-%2a")],
)
async def test_rules(api: Api, pattern: str, path: str) -> None:
    """A rule is put, read, listed, replaced and deleted under its pattern, escaped or not."""
    await api("POST", "/api/v1/apps", json={"id": "shop"})
    rule = f"/api/v1/apps/shop/rules/{path}"
    put = await api("PUT", rule, json={"history_messages": 5})
    assert (put.status, put.json["pattern"], put.json["history_seconds"]) == (200, pattern, 300)
    assert (await api("GET", rule)).json == put.json
    assert (await api("PUT", rule, json={"cache": True, "pattern": pattern})).json["history_messages"] == 100
    assert (await api("GET", "/api/v1/apps/shop/rules")).json["rules"][0]["cache"] is True
    assert [one.pattern for one in (await app_of(api, "shop")).rules] == [pattern]
    assert (await api("DELETE", rule)).status == 204
    assert (await api("GET", rule)).error == (404, "unknown_rule", "pattern")
    assert (await api("DELETE", rule)).error == (404, "unknown_rule", "pattern")


async def test_a_rule_may_bound_bytes(api: Api) -> None:
    """The bound is none unless given, reaches the nodes, and is gone when the rule is put without it."""
    await api("POST", "/api/v1/apps", json={"id": "shop"})
    rule = "/api/v1/apps/shop/rules/a*"
    assert (await api("PUT", rule, json={"history_bytes": 17_179_869_184})).json["history_bytes"] == 17_179_869_184
    assert (await api("GET", rule)).json["history_bytes"] == 17_179_869_184
    assert [one.history_bytes for one in (await app_of(api, "shop")).rules] == [17_179_869_184]
    assert (await api("PUT", rule, json={})).json["history_bytes"] == 0


async def test_rules_written_by_the_version_before(settings: RegistrySettings) -> None:
    """A stored rule that lacks a field, as a registry of the version before writes it, has that field's default."""
    async with registry.opened(settings) as found:
        await connections.get("default").execute_query(
            "INSERT INTO apps (id, key, secret, name, enabled, allowed_origins, publish_keys, limits, rules) "
            """VALUES ('shop', 'k', 's', '', 1, '[]', '[]', '{}', '[{"pattern": "a", "history_messages": 5}]')"""
        )
        app = await registry.compose(settings, found).store.app("shop")
        assert app is not None
        assert app.rules == [ChannelRule(pattern="a", history_messages=5, history_bytes=0)]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("a%20b", {}, "pattern"),
        ("x" * 165, {}, "pattern"),
        ("a", {"pattern": "b"}, "pattern"),
        ("a", {"history_messages": -1}, "history_messages"),
        ("a", {"histroy_messages": 1}, "histroy_messages"),
        ("a", {"history_seconds": 86_401}, "history_seconds"),
        ("a", {"history_bytes": -1}, "history_bytes"),
        ("a", {"history_bytes": 17_179_869_185}, "history_bytes"),
        ("a", {"history_bytes": "1M"}, "history_bytes"),
        ("a", {"cache": 1}, "cache"),
    ],
)
async def test_bad_rules(api: Api, path: str, body: dict[str, Any], field: str) -> None:
    """A wrong rule is refused with its field, and none is made."""
    await api("POST", "/api/v1/apps", json={"id": "shop"})
    assert (await api("PUT", f"/api/v1/apps/shop/rules/{path}", json=body)).error == (422, "schema", field)
    assert (await api("GET", "/api/v1/apps/shop/rules")).json == {"rules": [], "next": None}


@pytest.mark.parametrize("kind", ["apps", "rules", "keys", "audit"])
async def test_paging(api: Api, kind: str) -> None:
    """Following `next` yields every entry once, whatever the page's size, and the last page has none."""
    await api("POST", "/api/v1/apps", json={"id": "app0"})
    for number in range(1, 7):
        await api("POST", "/api/v1/apps", json={"id": f"app{number}"})
        await api("PUT", f"/api/v1/apps/app0/rules/r{number}", json={})
    path, name, ident = {
        "apps": ("/api/v1/apps", "apps", "id"),
        "rules": ("/api/v1/apps/app0/rules", "rules", "pattern"),
        "keys": ("/api/v1/keys", "keys", "id"),
        "audit": ("/api/v1/audit", "entries", "id"),
    }[kind]
    everything = [one[ident] for one in (await api("GET", path)).json[name]]
    assert len(everything) >= 3
    for limit in (1, 2, len(everything), len(everything) + 1):
        seen, after = [], None
        while True:
            params = {"limit": str(limit)} | ({"after": after} if after else {})
            page = (await api("GET", path, params=params)).json
            assert len(page[name]) <= limit
            seen += [one[ident] for one in page[name]]
            after = page["next"]
            if after is None:
                break
        assert seen == everything


async def test_audit(api: Api) -> None:
    """Every change says who, what, from what and to what; secrets are masked; a change of nothing is none."""
    made = (await api("POST", "/api/v1/apps", json={"id": "shop"})).json
    await api("PATCH", "/api/v1/apps/shop", json={"name": "New"})
    await api("PATCH", "/api/v1/apps/shop", json={"name": "New"})
    await api("POST", "/api/v1/apps/shop/secret")
    await api("DELETE", "/api/v1/apps/shop")
    entries = (await api("GET", "/api/v1/audit", params={"limit": "4"})).json["entries"]
    assert [entry["action"] for entry in entries] == ["app.delete", "app.secret", "app.change", "app.create"]
    assert {entry["key"] for entry in entries} == {"admin"}
    assert {entry["object"] for entry in entries} == {"app:shop"}
    assert (entries[2]["before"]["name"], entries[2]["after"]["name"]) == ("", "New")
    assert (entries[3]["before"], entries[0]["after"]) == (None, None)
    assert entries[3]["after"]["secret"] == "********"
    assert entries[3]["after"]["publish_keys"] == made["publish_keys"]


async def test_audit_of_rules(api: Api) -> None:
    """A change of a rule shows the rule alone, before and after."""
    await api("POST", "/api/v1/apps", json={"id": "shop"})
    await api("PUT", "/api/v1/apps/shop/rules/a*", json={"history_messages": 1})
    await api("PUT", "/api/v1/apps/shop/rules/a*", json={"history_messages": 2})
    await api("DELETE", "/api/v1/apps/shop/rules/a*")
    entries = (await api("GET", "/api/v1/audit", params={"limit": "3"})).json["entries"]
    assert {entry["object"] for entry in entries} == {"rule:shop/a*"}
    changes = [[one and one["history_messages"] for one in (entry["before"], entry["after"])] for entry in entries]
    assert changes == [[2, None], [1, 2], [None, 1]]


async def test_keys_over_http(api: Api) -> None:
    """A key made over HTTP works until it is revoked, is listed without itself, and is shown once."""
    made = (await api("POST", "/api/v1/keys", json={"name": "lb", "role": "balancer", "expires_days": 1})).json
    assert made["key"].startswith("wsm_balancer_")
    assert made["expires_at"] - made["created_at"] == 86_400
    api.keys["lb"] = made["key"]
    assert (await api("GET", "/api/v1/slots", role="lb")).status == 200
    listed = await api("GET", "/api/v1/keys")
    assert made["id"] in [key["id"] for key in listed.json["keys"]]
    assert made["key"].encode() not in listed.raw
    assert (await api("DELETE", f"/api/v1/keys/{made['id']}")).status == 204
    assert (await api("GET", "/api/v1/slots", role="lb")).error == (401, "key_invalid", None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "role"),
        ({"name": "x", "role": "root"}, "role"),
        ({"name": "", "role": "node"}, "name"),
        ({"name": "x", "role": "node", "expires_days": 0}, "expires_days"),
        ({"name": "x", "role": "node", "expires": 5}, "expires"),
    ],
)
async def test_bad_keys(api: Api, body: dict[str, Any], field: str) -> None:
    """A wrong field of a new key is named."""
    assert (await api("POST", "/api/v1/keys", json=body)).error == (422, "schema", field)

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tortoise import connections

from tests.support.registry import Api
from wsmesh.contract import WEBHOOK_EVENTS, App, ClusterConfig, Webhook
from wsupdates import app as registry
from wsupdates.domain import webhooks as domain
from wsupdates.domain.parts import WEBHOOKS
from wsupdates.domain.refusals import Refusal
from wsupdates.domain.webhooks import WebhookSettings
from wsupdates.settings import RegistrySettings

HOOKS = "/api/v1/apps/shop/webhooks"
URL = "https://shop.example/hooks"


async def hooks_of_nodes(api: Api) -> list[Webhook]:
    """The webhooks of the app `shop` as the nodes get them."""
    config = msgspec.json.decode((await api("GET", "/api/v1/config", role="node")).raw, type=ClusterConfig)
    return next(app.webhooks for app in config.apps if app.id == "shop")


async def test_a_webhook_from_its_making_to_its_end(api: Api) -> None:
    """A webhook is put, read, listed, counted, replaced and deleted under its name, and reaches the nodes."""
    await api("POST", "/api/v1/apps", json={"id": "shop"})
    put = await api("PUT", f"{HOOKS}/orders", json={"url": URL})
    everything = {"name": "orders", "url": URL, "events": list(WEBHOOK_EVENTS), "channels": "*"}
    assert (put.status, put.json) == (200, everything)
    assert (await api("GET", f"{HOOKS}/orders")).json == everything
    assert (await api("GET", "/api/v1/apps/shop")).json["webhooks"] == 1
    assert await hooks_of_nodes(api) == [Webhook(name="orders", url=URL)]

    fewer = {
        "name": "orders",
        "url": URL,
        "events": ["member_added", "channel_vacated", "member_added"],
        "channels": "o-*",
    }
    assert (await api("PUT", f"{HOOKS}/orders", json=fewer)).json["events"] == ["channel_vacated", "member_added"]
    await api("PUT", f"{HOOKS}/also", json={"url": URL})
    page = (await api("GET", f"{HOOKS}?limit=1")).json
    assert ([one["name"] for one in page["webhooks"]], page["next"]) == (["also"], "also")
    page = (await api("GET", f"{HOOKS}?limit=1&after=also")).json
    assert ([one["name"] for one in page["webhooks"]], page["next"]) == (["orders"], None)

    assert (await api("DELETE", f"{HOOKS}/orders")).status == 204
    assert [one.name for one in await hooks_of_nodes(api)] == ["also"]
    assert (await api("GET", f"{HOOKS}/orders")).error == (404, "unknown_webhook", "name")
    assert (await api("DELETE", f"{HOOKS}/orders")).error == (404, "unknown_webhook", "name")
    assert (await api("GET", "/api/v1/apps/none/webhooks")).error == (404, "unknown_app", "id")


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("a%20b", {"url": URL}, "name"),
        ("a", {"url": URL, "name": "b"}, "name"),
        ("a", {}, "url"),
        ("a", {"url": None}, "url"),
        ("a", {"url": "shop.example"}, "url"),
        ("a", {"url": "ftp://shop.example/"}, "url"),
        ("a", {"url": "https://"}, "url"),
        ("a", {"url": "https:///path"}, "url"),
        ("a", {"url": "https://shop.example:99999/"}, "url"),
        ("a", {"url": "https://[::1/"}, "url"),
        ("a", {"url": "https://me:pass@shop.example/"}, "url"),
        ("a", {"url": "https://shop.example/#part"}, "url"),
        ("a", {"url": "https://shop.example/a b"}, "url"),
        ("a", {"url": "https://shop.example/\n"}, "url"),
        ("a", {"url": "https://shop.example/" + "x" * 2_048}, "url"),
        ("a", {"url": "http://shop.example/"}, "url"),
        ("a", {"url": "http://localhost.shop.example/"}, "url"),
        ("a", {"url": "http://127.0.0.1.shop.example/"}, "url"),
        ("a", {"url": URL, "events": []}, "events"),
        ("a", {"url": URL, "events": ["channel_full"]}, "events[0]"),
        ("a", {"url": URL, "events": "channel_occupied"}, "events"),
        ("a", {"url": URL, "channels": ""}, "channels"),
        ("a", {"url": URL, "channels": "a b"}, "channels"),
        ("a", {"url": URL, "chanels": "a"}, "chanels"),
    ],
)
async def test_bad_webhooks(api: Api, name: str, body: dict[str, Any], field: str) -> None:
    """A wrong webhook is refused with its field, and none is made."""
    await api("POST", "/api/v1/apps", json={"id": "shop"})
    assert (await api("PUT", f"{HOOKS}/{name}", json=body)).error == (422, "schema", field)
    assert (await api("GET", HOOKS)).json == {"webhooks": [], "next": None}


@pytest.mark.parametrize("host", ["localhost:80", "127.0.0.1", "127.9.9.9:8080", "[::1]:9000"])
async def test_plain_http_to_loopback(api: Api, host: str) -> None:
    """A receiver on the same machine may be told over plain http."""
    await api("POST", "/api/v1/apps", json={"id": "shop"})
    assert (await api("PUT", f"{HOOKS}/a", json={"url": f"http://{host}/x"})).status == 200


def test_plain_http_where_the_operator_allows_it() -> None:
    """Only `webhooks` in ALLOW_PLAINTEXT lets webhooks go to other machines in clear text."""
    wanted = WebhookSettings(name="a", url="http://shop.example/")
    assert domain.checked(wanted, plain=True).url == "http://shop.example/"
    with pytest.raises(Refusal, match="ALLOW_PLAINTEXT name `webhooks`"):
        domain.checked(wanted, plain=False)


async def test_too_many_webhooks(api: Api) -> None:
    """One more than an app may have is refused; replacing one is not."""
    await api("POST", "/api/v1/apps", json={"id": "shop"})
    for number in range(WEBHOOKS.most):
        assert (await api("PUT", f"{HOOKS}/h{number}", json={"url": URL})).status == 200
    assert (await api("PUT", f"{HOOKS}/more", json={"url": URL})).error == (409, "too_many_webhooks", "name")
    assert (await api("PUT", f"{HOOKS}/h0", json={"url": URL, "channels": "a"})).status == 200


async def test_changes_of_webhooks_are_on_record(api: Api) -> None:
    """The audit record shows a webhook before and after."""
    await api("POST", "/api/v1/apps", json={"id": "shop"})
    await api("PUT", f"{HOOKS}/a", json={"url": URL, "events": ["cache_miss"]})
    await api("DELETE", f"{HOOKS}/a")
    deleted, put = (await api("GET", "/api/v1/audit?limit=2")).json["entries"]
    assert (put["action"], put["object"], put["before"]) == ("webhook.put", "webhook:shop/a", None)
    assert put["after"] == {"name": "a", "url": URL, "events": ["cache_miss"], "channels": "*"}
    assert (deleted["action"], deleted["before"], deleted["after"]) == ("webhook.delete", put["after"], None)


async def test_apps_written_by_the_version_before(tmp_path: Path) -> None:
    """A row without the column, as a registry of the version before writes it, is an app without webhooks."""
    settings = RegistrySettings(db_path=tmp_path / "r.sqlite3")
    async with registry.opened(settings) as found:
        await found.migrate()
        await connections.get("default").execute_query(
            "INSERT INTO apps (id, key, secret, name, enabled, allowed_origins, publish_keys, limits, rules) "
            "VALUES ('shop', 'k', 's', '', 1, '[]', '[]', '{}', '[]')"
        )
        services = registry.compose(settings, found)
        assert await services.store.app("shop") == App(id="shop", key="k", secret="s")

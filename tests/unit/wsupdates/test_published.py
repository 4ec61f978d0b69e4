from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from tests.support.registry import Api, Clock, registration
from wsmesh.contract import ClusterConfig, Slots
from wsupdates.web.services import Services


async def waiting(services: Services, callers: int) -> None:
    """Return when so many callers wait."""
    async with asyncio.timeout(5):
        while services.metrics.waiting._value.get() != callers:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(("path", "role"), [("/api/v1/config", "node"), ("/api/v1/slots", "balancer")])
async def test_etag_is_the_generation(api: Api, path: str, role: str) -> None:
    """The ETag is the generation; who has it is told that nothing changed, weak form and quotes or not known alike."""
    first = await api("GET", path, role=role)
    tag = first.headers["etag"]
    assert tag == f'"{first.json["generation"]}"'
    for known in (tag, f"W/{tag}"):
        answer = await api("GET", path, role=role, headers={"if-none-match": known})
        assert (answer.status, answer.raw, answer.headers["etag"]) == (304, b"", tag)
    for other in ('"1"', "x", '"99999999999999999999999"', ""):
        assert (await api("GET", path, role=role, headers={"if-none-match": other})).status == 200


async def test_the_shapes_are_the_contract(api: Api) -> None:
    """Both answers decode as the shared contract, with the node that registered."""
    await api("POST", "/api/v1/nodes", role="node", json=registration(client_address="[::1]:7000", weight=50))
    await api("POST", "/api/v1/apps", json={"id": "shop"})
    await api("PUT", "/api/v1/apps/shop/rules/news-*", json={"cache": True})
    config = msgspec.json.decode((await api("GET", "/api/v1/config", role="node")).raw, type=ClusterConfig)
    slots = msgspec.json.decode((await api("GET", "/api/v1/slots", role="balancer")).raw, type=Slots)
    assert [(node.id, node.run, node.slot, node.state) for node in config.nodes] == [("n1", "n1~run1", 1, "ready")]
    assert [(app.id, [rule.pattern for rule in app.rules]) for app in config.apps] == [("shop", ["news-*"])]
    assert [(one.slot, one.host, one.port, one.weight) for one in slots.slots] == [(1, "::1", 7000, 50)]
    assert config.generation == slots.generation


async def test_a_change_wakes_who_waits(api: Api, services: Services) -> None:
    """A long poll is answered as soon as something changes, for all who wait."""
    tag = (await api("GET", "/api/v1/config")).headers["etag"]
    polls = [
        asyncio.create_task(api("GET", path, headers={"if-none-match": tag}, params={"wait": "30"}))
        for path in ("/api/v1/config", "/api/v1/slots")
    ]
    await waiting(services, 2)
    began = time.monotonic()
    await api("POST", "/api/v1/nodes", role="node", json=registration())
    config, slots = await asyncio.gather(*polls)
    assert time.monotonic() - began < 1
    assert [node["id"] for node in config.json["nodes"]] == ["n1"]
    assert [slot["node"] for slot in slots.json["slots"]] == ["n1"]


async def test_a_wait_ends_without_news(api: Api) -> None:
    """A long poll without a change is answered 304 when its time is over."""
    tag = (await api("GET", "/api/v1/config")).headers["etag"]
    began = time.monotonic()
    answer = await api("GET", "/api/v1/config", headers={"if-none-match": tag}, params={"wait": "1"})
    assert answer.status == 304
    assert 0.9 < time.monotonic() - began < 5


async def test_stopping_answers_who_waits(api: Api, services: Services) -> None:
    """A registry that stops answers long polls at once."""
    tag = (await api("GET", "/api/v1/config")).headers["etag"]
    poll = asyncio.create_task(api("GET", "/api/v1/config", headers={"if-none-match": tag}, params={"wait": "60"}))
    await waiting(services, 1)
    services.published.close()
    async with asyncio.timeout(2):
        assert (await poll).status == 304


async def test_metrics(api: Api) -> None:
    """The figures name routes and states, never a path that a caller made up."""
    await api("POST", "/api/v1/nodes", role="node", json=registration())
    await api("POST", "/api/v1/nodes/n1/heartbeat", role="node", json={"run": "n1~run1"})
    await api("GET", "/made/up")
    page = (await api("GET", "/metrics", role=None)).raw.decode()
    assert 'wsupdates_nodes{state="ready"} 1.0' in page
    assert 'wsupdates_nodes{state="lost"} 0.0' in page
    assert "wsupdates_heartbeats_total 1.0" in page
    assert 'wsupdates_requests_total{route="POST /api/v1/nodes/<id:str>/heartbeat",status="200"} 1.0' in page
    assert 'wsupdates_requests_total{route="unknown",status="404"} 1.0' in page
    assert "made" not in page


async def test_health(api: Api) -> None:
    """Both health routes answer without a key."""
    assert (await api("GET", "/healthz", role=None)).json == {"status": "ok"}
    assert (await api("GET", "/readyz", role=None)).json == {"status": "ready"}


async def test_prometheus_finds_the_nodes(api: Api, clock: Clock, services: Services) -> None:
    """http_sd lists each node with its location; one whose lease ran out stays, one that said goodbye goes."""
    for name in ("n1", "n2"):
        body = registration(id=name, run=f"{name}~run1", client_address=f"{name}.example:7000")
        assert (await api("POST", "/api/v1/nodes", role="node", json=body)).status == 200
    await api("DELETE", "/api/v1/nodes/n2", role="node", params={"run": "n2~run1"})
    found = [{"targets": ["n1.example:7000"], "labels": {"node": "n1", "location": registration()["location"]}}]
    assert (await api("GET", "/api/v1/http_sd", role="balancer")).json == found
    for _ in range(30):  # a sweep that comes late gives the leases more time
        clock.now += 1
        await services.membership.sweep()
    assert (await api("GET", "/api/v1/nodes/n1")).json["state"] == "lost"
    assert (await api("GET", "/api/v1/http_sd", role="balancer")).json == found
    assert (await api("GET", "/api/v1/http_sd", role="node")).status == 403

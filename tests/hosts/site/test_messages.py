"""What clients and publishers get, through HAProxy, by TLS."""

from __future__ import annotations

import asyncio
import ssl
import uuid

import aiohttp
import pytest
from pusher import Pusher  # type: ignore[import-untyped]

from tests.hosts.site.site import BALANCERS, Site, slots
from tests.support.listening import listening
from tests.support.pusher_js import PusherJs
from tests.support.waiting import until
from wsmesh_demo.publisher import client

COOKIE = "wsmesh_node"


@pytest.mark.parametrize("there", BALANCERS)
@pytest.mark.parametrize("here", BALANCERS)
async def test_a_message_crosses_the_site(site: Site, here: str, there: str) -> None:
    """pusher-js at one location receives what the official Python library publishes at the other, or at its own."""
    channel = f"news-{uuid.uuid4().hex}"
    host = site.urls[there].removeprefix("https://")
    js = await PusherJs.start(key=site.app.key, host=host, port=443, ca=site.ca)
    try:
        await js.subscribe(channel)
        publisher: Pusher = client(site.urls[here], site.ca, site.app)
        await asyncio.to_thread(publisher.trigger, channel, "greeting", {"from": here})
        assert (await js.next("event", channel=channel, event="greeting"))["data"] == {"from": here}
    finally:
        await js.stop()


@pytest.mark.parametrize("location", BALANCERS)
async def test_certificates_are_those_of_the_authority(site: Site, location: str) -> None:
    """Who trusts other authorities refuses the certificate of HAProxy."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{site.urls[location]}/livez", ssl=ssl.create_default_context())
        async with session.get(f"{site.urls[location]}/livez", ssl=site.trust) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("location", BALANCERS)
async def test_a_cookie_keeps_a_client_on_its_node(site: Site, location: str) -> None:
    """With the cookie of its first answer a client stays on one node; without, requests go to all of the location."""
    url = f"{site.urls[location]}/livez"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def slot(cookie: str = "") -> str:
            headers = {"Cookie": f"{COOKIE}={cookie}"} if cookie else {}
            async with session.get(url, ssl=site.trust, headers=headers) as answer:
                assert answer.status == 200
                return answer.cookies[COOKIE].value if COOKIE in answer.cookies else cookie

        own = {one.name for one in await slots(BALANCERS[location]) if one.backend == "nodes_own"}
        assert {await slot() for _ in range(12)} == own
        for cookie in own:
            assert {await slot(cookie) for _ in range(6)} == {cookie}


@pytest.mark.parametrize("location", BALANCERS)
async def test_a_client_without_cookies(site: Site, location: str) -> None:
    """A client that keeps no cookie connects, subscribes and receives."""
    channel = f"plain-{uuid.uuid4().hex}"
    async with listening(site.urls[location], site.app.key, channel, tls=site.trust) as listener:
        publisher: Pusher = client(site.urls[location], site.ca, site.app)
        await asyncio.to_thread(publisher.trigger, channel, "greeting", {"n": 1})
        await until(lambda: listener.events)
    assert [event["data"] for event in listener.events] == [{"n": 1}]


async def test_ports_of_nodes_are_not_for_everybody(site: Site, nodes: set[str]) -> None:
    """The mesh port of a node takes no connection without a certificate of the authority."""
    host = sorted(nodes)[0].split(":")[0]
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(f"https://{host}:7101/mesh/v1/hello", data=b"{}", ssl=site.trust)

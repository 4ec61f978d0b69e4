from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest
import structlog
import trustme
from aiohttp import web

from tests.support.waiting import until
from tests.support.webhooks import receiving, saying, validated
from wsmesh import tls
from wsmesh.contract import App, Webhook
from wsnode.adapters.webhook_sender import WebhookSender
from wsnode.domain.messages import Message, WebhookPayload
from wsnode.domain.transitions import Transition
from wsnode.domain.webhook import Hook, HookLimits
from wsnode.domain.webhook_look import Present
from wsnode.domain.webhooks import HAND_OVER, Webhooks
from wsnode.webhook_service import WebhookFailed, WebhookService

KEY, SECRET = "key", "a secret of the app"
TIMEOUT = 20.0


class Node:
    """One node that tells webhooks, without a hub: a test says which channels there are."""

    def __init__(self, hooks: dict[str, str], sender: WebhookSender) -> None:
        webhooks = [Webhook(name=name, url=url, events=("channel_occupied",)) for name, url in hooks.items()]
        self.app = App(id="shop", key=KEY, secret=SECRET, webhooks=webhooks)
        self.there: dict[str, Present] = {}
        self.seq = 0
        self.webhooks = Webhooks("n1~1", HookLimits(delay=0.0), self, lambda low, _: low / 10)
        clock = asyncio.get_running_loop().time
        self.service = WebhookService(
            webhooks=self.webhooks,
            sender=sender,
            app=lambda _: self.app,
            announce=self.announce,
            held=self.held,
            clock=clock,
            time_of_day=time.time,
        )
        self.webhooks.set_tellers(["n1"], clock() - HAND_OVER)
        self.webhooks.begin([], 0, clock())
        self.webhooks.apply([self.app], clock())

    def announce(self, payload: WebhookPayload) -> None:
        """Be the own stream."""
        self.seq += 1
        self.service.take("n1~1", Message(self.seq, payload, 0))

    async def held(self) -> None:
        """There is no other node."""

    def present(self, app: str, channel: str) -> Present:
        """See webhooks.Channels."""
        return self.there.get(channel, Present())

    def names(self, app: str) -> Iterable[str]:
        """See webhooks.Channels."""
        return self.there

    def occupy(self, *channels: str) -> None:
        """Channels get their first subscribers."""
        for channel in channels:
            self.there[channel] = Present(occupied=True)
            self.service.observe(Transition("channel_occupied", "shop", channel))

    def hook(self, name: str) -> Hook:
        """One of the webhooks."""
        return self.webhooks.hooks["shop", name]


@asynccontextmanager
async def telling(hooks: dict[str, str], **options: Any) -> AsyncIterator[Node]:
    """A node that runs."""
    settings: dict[str, Any] = {"timeout": TIMEOUT, "tls": tls.client_context(None), "allowed": ()}
    sender = WebhookSender(**settings | options)
    await sender.open()
    node = Node(hooks, sender)
    running = asyncio.create_task(node.service.run())
    try:
        yield node
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await node.service.stop()
        await sender.close()


async def test_a_request_is_signed_as_pusher_signs() -> None:
    """Pusher's own library takes it, with the events of one turn together; with another secret it does not."""
    async with receiving() as receiver, telling({"a": f"{receiver.url}/hook"}) as node:
        node.occupy("one", "two")
        await receiver.until(lambda: receiver.deliveries)
        [delivery] = receiver.deliveries
        assert (delivery.key, delivery.content_type) == (KEY, "application/json")
        body = validated(delivery, KEY, SECRET)
        assert body["events"] == [
            {"name": "channel_occupied", "channel": "one"},
            {"name": "channel_occupied", "channel": "two"},
        ]
        assert abs(body["time_ms"] - time.time() * 1000) < 60_000
        assert validated(delivery, KEY, "another secret") is None
        await until(lambda: node.hook("a").events_sent == 2, 30)
        assert not node.webhooks.busy


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
async def test_any_error_is_tried_again(status: int) -> None:
    """Any status but 2xx fails: the same bytes come again until they are taken, the next event after them."""
    async with receiving() as receiver, telling({"a": f"{receiver.url}/hook"}) as node:
        receiver.answers["/hook"] = status
        with structlog.testing.capture_logs() as logs:
            node.occupy("one")
            await receiver.until(lambda: len(receiver.deliveries) == 3)
            node.occupy("two")
            receiver.answers["/hook"] = 204
            await until(lambda: node.hook("a").events_sent == 2, 30)
        *same, last = receiver.deliveries
        assert len({(delivery.raw, delivery.signature) for delivery in same}) == 1
        assert [event["channel"] for event in last.events] == ["two"]
        failed = [entry for entry in logs if entry["event"] == "webhook_failed"]
        assert {(one["app"], one["webhook"], one["reason"]) for one in failed} == {("shop", "a", f"status {status}")}
        assert [one["attempt"] for one in failed] == list(range(1, len(failed) + 1))
        assert node.hook("a").requests_failed == len(failed)
        [recovered] = [entry for entry in logs if entry["event"] == "webhook_sent" and entry["log_level"] == "info"]
        assert (recovered["events"], recovered["after_failures"]) == (1, len(failed))


async def test_redirects_are_not_followed() -> None:
    """A receiver that sends elsewhere has failed, and elsewhere nothing comes."""
    async with receiving() as receiver, telling({"a": f"{receiver.url}/hook"}) as node:

        async def elsewhere(_: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": f"{receiver.url}/elsewhere"})

        receiver.answers["/hook"] = elsewhere
        with structlog.testing.capture_logs() as logs:
            node.occupy("one")
            await receiver.until(lambda: len(receiver.at("/hook")) == 2)
        assert receiver.at("/elsewhere") == []
        assert logs[0]["reason"] == "status 307; redirects are not followed"


async def test_a_receiver_that_hangs_is_given_up_on_and_holds_nobody_up() -> None:
    """After WEBHOOK_TIMEOUT the request has failed and comes again; meanwhile another receiver is told."""
    async with (
        receiving() as receiver,
        telling({"hangs": f"{receiver.url}/hangs", "well": f"{receiver.url}/well"}, timeout=3.0) as node,
    ):
        still = asyncio.Event()

        async def hang(_: web.Request) -> web.Response:
            await still.wait()
            return web.Response()

        receiver.answers["/hangs"] = hang
        with structlog.testing.capture_logs() as logs:
            for channel in ("one", "two", "three"):
                node.occupy(channel)
                await receiver.until(
                    lambda channel=channel: (
                        receiver.events("/well")[-1:]
                        == [  # type: ignore[misc]
                            {"name": "channel_occupied", "channel": channel}
                        ]
                    )
                )
            await receiver.until(lambda: len(receiver.at("/hangs")) == 2)
        failed = [entry for entry in logs if entry["event"] == "webhook_failed" and entry["webhook"] == "hangs"]
        assert {entry["reason"] for entry in failed} == {"no answer within 3 s"}
        first, second = receiver.at("/hangs")
        assert first.raw == second.raw
        still.set()
        await until(lambda: node.hook("hangs").events_sent == 3, 30)


NO_HTTP = "what it answered is no HTTP: "
NO_STATUS_LINE = NO_HTTP + "Bad status line: Expected HTTP/, RTSP/ or ICE/: "
GARBAGE = {
    "nothing": (b"", "it hung up before it had answered"),
    "text": (b"who is there?\n", NO_STATUS_LINE + r"b'who is there?\n' ^"),
    "no status": (
        b"HTTP/1.1 abc what\r\n\r\n",
        NO_HTTP + "Bad status line: Invalid status code: b'HTTP/1.1 abc what' ^",
    ),
    "half": (b"HTTP/1.1 200", "it hung up before it had answered"),
    "bytes": (b"\x00\xff" * 500, (NO_STATUS_LINE + "b'" + r"\x00\xff" * 500)[:300]),
    "an endless line": (
        b"HTTP/1.1 200 OK\r\n" + b"x" * 99_999,
        NO_HTTP + f"Got more than 8190 bytes when reading: b'{'x' * 100}...'.",
    ),
}


@pytest.mark.parametrize(("answer", "reason"), GARBAGE.values(), ids=GARBAGE)
async def test_garbage_is_no_success(answer: bytes, reason: str) -> None:
    """What is no answer of HTTP counts as a failure, the log says what came, and the request comes again."""
    async with saying(answer) as (url, heard), telling({"a": url}) as node:
        with structlog.testing.capture_logs() as logs:
            node.occupy("one")
            await until(lambda: node.hook("a").requests_failed >= 2, 30)
        failed = [entry for entry in logs if entry["event"] == "webhook_failed"]
        assert {entry["reason"] for entry in failed} == {reason}
        assert len(heard) >= len(failed) == node.hook("a").requests_failed
        assert node.hook("a").events_sent == 0
        assert len(node.hook("a").queue) == 1


async def test_an_answer_is_not_read() -> None:
    """A success counts as soon as its status is there, however long its body goes on."""
    async with receiving() as receiver, telling({"a": f"{receiver.url}/hook"}) as node:

        async def endless(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x" * 65_536)

        receiver.answers["/hook"] = endless
        node.occupy("one")
        await until(lambda: node.hook("a").events_sent == 1, 30)
        assert node.hook("a").requests_failed == 0


async def test_a_receiver_that_is_not_there() -> None:
    """A refused connection is a failure like any other."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with structlog.testing.capture_logs() as logs:
        async with telling({"a": f"http://127.0.0.1:{port}/"}) as node:
            node.occupy("one")
            await until(lambda: node.hook("a").requests_failed == 2, 30)
    assert f"Cannot connect to host 127.0.0.1:{port}" in logs[0]["reason"]


async def test_events_are_dropped_after_five_minutes() -> None:
    """What could not be told in time is dropped, counted and logged."""
    async with receiving() as receiver, telling({"a": f"{receiver.url}/hook"}) as node:
        receiver.answers["/hook"] = 500
        node.occupy("one")
        await receiver.until(lambda: receiver.deliveries)
        late = asyncio.get_running_loop().time() + 300.0
        node.service._clock = lambda: late
        with structlog.testing.capture_logs() as logs:
            await until(lambda: node.hook("a").events_dropped == 1, 30)
        [dropped] = [entry for entry in logs if entry["event"] == "webhook_dropped"]
        assert (dropped["log_level"], dropped["events"], dropped["first"]) == ("error", 1, "channel_occupied")
        assert (dropped["app"], dropped["webhook"], dropped["reason"]) == ("shop", "a", "status 500")
        assert not node.webhooks.busy


async def test_https_with_an_authority_of_ones_own() -> None:
    """A receiver's certificate must come from WEBHOOK_CA."""
    authority, other = trustme.CA(), trustme.CA()
    server, client, wrong = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), *(ssl.create_default_context() for _ in range(2)))
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    other.configure_trust(wrong)
    async with receiving(server) as receiver:
        async with telling({"a": receiver.url}, tls=client, timeout=30) as node:
            node.occupy("one")
            await receiver.until(lambda: receiver.deliveries)
        with structlog.testing.capture_logs() as logs:
            async with telling({"a": receiver.url}, tls=wrong, timeout=30) as node:
                node.occupy("one")
                await until(lambda: node.hook("a").requests_failed == 1, 30)
        assert "certificate verify failed" in logs[0]["reason"]
        assert len(receiver.deliveries) == 1


async def test_addresses_that_may_not_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metadata address is refused as such and behind a name, and so is a name that leads to this machine."""
    app = App(id="shop", key=KEY, secret=SECRET)

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        address = {"metadata.example": "169.254.169.254", "rebound.example": "127.0.0.1"}[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr("wsnode.adapters.webhook_sender.socket.getaddrinfo", look_up)
    async with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        sender = WebhookSender(timeout=30, tls=tls.client_context(None), allowed=())
        await sender.open()
        try:
            for host, reason in [
                ("169.254.169.254", "169.254.169.254 is 169.254.169.254, a link-local or metadata address"),
                ("[::ffff:169.254.169.254]", "is 169.254.169.254, a link-local or metadata address"),
                ("metadata.example", "metadata.example is 169.254.169.254, a link-local or metadata address"),
                ("rebound.example", "rebound.example is 127.0.0.1, this machine, by another name than localhost"),
            ]:
                with pytest.raises(WebhookFailed, match=rf"{reason}.*WEBHOOK_ALLOW can allow it$".replace("[", r"\[")):
                    await sender.send(f"http://{host}:{port}/", app, b"{}")
        finally:
            await sender.close()
        allowed = WebhookSender(timeout=30, tls=tls.client_context(None), allowed=[ip_network("127.0.0.0/8")])
        await allowed.open()
        try:
            await allowed.send(f"http://rebound.example:{port}/", app, b"{}")
        finally:
            await allowed.close()
        assert len(receiver.deliveries) == 1

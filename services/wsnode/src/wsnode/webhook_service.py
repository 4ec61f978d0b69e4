"""Webhooks at work: sends what the domain says is due, and puts on the own stream what was told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from wsmesh import logs
from wsmesh.contract import App
from wsnode.domain.messages import Message, StreamId, WebhookPayload
from wsnode.domain.transitions import Transition
from wsnode.domain.webhooks import Post, Webhooks

TICK = 0.1
"""Seconds between two looks at what time alone has made due."""

log = logs.get("webhooks")


class WebhookFailed(Exception):
    """The receiver did not answer with success. The text says why."""


class Sender(Protocol):
    """Sends one request to a receiver."""

    async def send(self, url: str, app: App, body: bytes) -> None:
        """Raises WebhookFailed."""
        ...


class WebhookService:
    """Connects the webhooks to receivers, streams and clocks.

    `announce` puts a payload on the own stream and hands it back with `take`; `held` waits until another node, if there
    is one, has all that is on it. `clock` is steady seconds, `time_of_day` seconds since 1970.
    """

    def __init__(
        self,
        *,
        webhooks: Webhooks,
        sender: Sender,
        app: Callable[[str], App | None],
        announce: Callable[[WebhookPayload], object],
        held: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
        time_of_day: Callable[[], float],
    ) -> None:
        self.webhooks = webhooks
        self._sender = sender
        self._app = app
        self._announce = announce
        self._held = held
        self._clock = clock
        self._time_of_day = time_of_day
        self._requests: set[asyncio.Task[None]] = set()
        self._pump_scheduled = False
        self._changed = asyncio.Event()

    def observe(self, transition: Transition) -> None:
        """Something happened to a channel; see Hub."""
        if transition.kind == "cache_miss":
            self.webhooks.missed(transition.app, transition.channel, self._clock())
        else:
            self.webhooks.observed(transition.app, transition.channel)
        self._schedule_pump()

    def take(self, stream: StreamId, message: Message) -> None:
        """A message of any stream; only those of webhooks count."""
        if isinstance(message.payload, WebhookPayload):
            self.webhooks.take(stream, message.seq, message.at, message.payload, self._clock())
            self._schedule_pump()

    async def run(self) -> None:
        """Keep the webhooks going until cancelled."""
        while True:
            self._pump()
            self.webhooks.tick(self._clock())
            await asyncio.sleep(TICK)

    async def settle(self, timeout: float) -> bool:
        """Wait until all that happened is told; False if that took longer than `timeout` seconds."""
        self._pump()
        try:
            async with asyncio.timeout(timeout):
                while self.webhooks.busy:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Abandon the requests in progress."""
        for task in list(self._requests):
            task.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)

    def _schedule_pump(self) -> None:
        """Look at the end of this turn of the loop: what happens within one turn is told together."""
        if not self._pump_scheduled:
            self._pump_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_scheduled = False
        more = self.webhooks.look(self._clock())
        self._publish()
        for post in self.webhooks.start(self._clock(), int(self._time_of_day() * 1000)):
            task = asyncio.create_task(self._send(post))
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)
        self._publish()
        if more:
            self._schedule_pump()
        self._changed.set()

    def _publish(self) -> None:
        while self.webhooks.announcements:
            self._announce(self.webhooks.announcements.pop(0))

    async def _send(self, post: Post) -> None:
        try:
            app = self._app(post.hook.app)
            if app is None:
                raise WebhookFailed("the app is gone")
            await self._held()
            await self._sender.send(post.url, app, post.body)
        except WebhookFailed as problem:
            self._failed(post, str(problem))
        except Exception as problem:  # a bug must not stop the queue
            log.exception("internal_error")
            self._failed(post, f"internal error: {type(problem).__name__}")
        else:
            failures = post.hook.queue.attempt
            sent = self.webhooks.told(post)
            level = log.info if failures else log.debug
            level("webhook_sent", app=post.hook.app, webhook=post.hook.name, events=sent, after_failures=failures)
        self._pump()

    def _failed(self, post: Post, reason: str) -> None:
        queue = post.hook.queue
        dropped = self.webhooks.failed(post, self._clock())
        about = {"app": post.hook.app, "webhook": post.hook.name, "reason": reason, "attempt": queue.attempt}
        wait = round(max(0.0, queue.retry_at - self._clock()), 1)
        log.warning("webhook_failed", **about, again_in=wait, waiting=len(queue))
        if dropped:
            log.error("webhook_dropped", **about, events=len(dropped), first=dropped[0].name)

"""The webhooks of all apps at one node: who tells what, and what other nodes know of it.

Without I/O. Every node follows every channel, as its streams show it. One node (`webhook_tellers.py`) decides what is
to be told of a channel, puts that on its stream, tells it once another node has it too, and then puts on its stream
that it is told. So whoever takes over knows what the former teller can have told at most, and has told at least.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from wsmesh.contract import App
from wsnode.domain.messages import (
    CacheMiss,
    HookEvent,
    StreamId,
    WebhookDecided,
    WebhookPayload,
    WebhookTold,
    event_id,
    node_of,
)
from wsnode.domain.webhook import Hook, HookLimits
from wsnode.domain.webhook_look import Present
from wsnode.domain.webhook_queue import Waiting
from wsnode.domain.webhook_tellers import Tellers

HAND_OVER = 2.0
"""Seconds for which a node that takes channels over waits for what their former teller still has on its way; after half
of that the former teller lets go of what it could not tell."""

STEPS = 200
"""Channels that are looked at in one go for one webhook, a few milliseconds of work."""

IN_MESSAGE = 200
"""Events that one message on the own stream is about."""

MAX_EARLY = 10_000
"""Messages that are kept at most for webhooks which the next configuration may bring."""

MISS_PAUSE = 1.0
"""Seconds in which only the first cache miss of a channel at this node counts."""


class Channels(Protocol):
    """The channels of the whole cluster, as this node sees them."""

    def present(self, app: str, channel: str) -> Present:
        """One channel as it is now."""
        ...

    def names(self, app: str) -> Iterable[str]:
        """The app's channels that have subscribers or members."""
        ...


class Post(NamedTuple):
    """A request to send; its outcome is told with `told` or `failed`."""

    hook: Hook
    url: str
    body: bytes


class ShareQuery(Struct, frozen=True):
    """A node that begins asks others what webhooks are told."""

    among: list[str]
    """The nodes that are asked: each answers for the channels that are its own if only these tell."""


class Pending(Struct, frozen=True):
    """What is decided for a webhook and not told yet."""

    app: str
    webhook: str
    events: dict[str, HookEvent]


class Share(Struct, frozen=True):
    """The answer."""

    begun: bool
    """Whether the node knows it: one that has just begun to ask itself does not."""
    decided: list[WebhookDecided]
    """Events that make what was decided so far out of nothing; they need not be told."""
    pending: list[Pending]


class Webhooks:
    """Decides what to tell. `now` is steady seconds, `at` milliseconds of the day's time."""

    def __init__(
        self, stream: StreamId, limits: HookLimits, channels: Channels, uniform: Callable[[float, float], float]
    ) -> None:
        self.hooks: dict[tuple[str, str], Hook] = {}
        self.announcements: list[WebhookPayload] = []
        """What is to be published on the own stream, and handed back with `take`; whoever publishes takes it away."""
        self._stream = stream
        self._node = node_of(stream)
        self._limits = limits
        self._channels = channels
        self._uniform = uniform
        self._by_app: dict[str, list[Hook]] = {}
        self._tellers = self._former = Tellers(())
        self._leave_at: float | None = None
        self._settle_at: float | None = None
        self._heard: list[tuple[StreamId, int, int, WebhookPayload]] | None = []
        self._early: deque[tuple[StreamId, int, int, WebhookPayload]] = deque(maxlen=MAX_EARLY)
        self._missed: dict[tuple[str, str], float] = {}

    # --- configuration and membership

    def apply(self, apps: Iterable[App], now: float) -> None:
        """Take a new configuration. A new webhook is told what is there already."""
        wanted = {(app.id, webhook.name): webhook for app in apps for webhook in app.webhooks}
        for key in [key for key in self.hooks if key not in wanted]:
            del self.hooks[key]
        for key, webhook in wanted.items():
            hook = self.hooks.get(key)
            if hook is None:
                hook = self.hooks[key] = Hook(key[0], webhook, self._limits, self._uniform)
            elif hook.webhook == webhook:
                continue
            hook.configure(webhook)
            hook.touch_all(self._channels.names(hook.app))
        self._by_app = {}
        for hook in self.hooks.values():
            self._by_app.setdefault(hook.app, []).append(hook)
        early, self._early = self._early, deque(maxlen=MAX_EARLY)
        for stream, seq, at, payload in early:
            if (payload.app, getattr(payload, "webhook", "")) in self.hooks:
                self.take(stream, seq, at, payload, now)

    def set_tellers(self, nodes: Iterable[str], now: float) -> None:
        """These nodes share the channels from now on."""
        tellers = Tellers(nodes)
        if tellers.nodes != self._tellers.nodes:
            self._tellers = tellers
            self._leave_at, self._settle_at = now + HAND_OVER / 2, now + HAND_OVER

    # --- what happens

    def observed(self, app: str, channel: str) -> None:
        """Something happened on a channel."""
        for hook in self._by_app.get(app, ()):
            hook.touch(channel)

    def missed(self, app: str, channel: str, now: float) -> None:
        """A client of this node found no last event on a cache channel: let all nodes know, for one of them to tell."""
        if not any(hook.interest.misses and hook.matches(channel) for hook in self._by_app.get(app, ())):
            return
        if now - self._missed.get((app, channel), float("-inf")) >= MISS_PAUSE:
            self._missed[app, channel] = now
            self.announcements.append(CacheMiss(app, channel))

    def take(self, stream: StreamId, seq: int, at: int, payload: WebhookPayload, now: float) -> None:
        """A message of any stream, the own one included."""
        if self._heard is not None:
            self._heard.append((stream, seq, at, payload))
            return
        identity = event_id(stream, seq)
        if isinstance(payload, CacheMiss):
            for hook in self._by_app.get(payload.app, ()):
                hook.missed(payload.channel, identity, now)
            return
        known = self.hooks.get((payload.app, payload.webhook))
        if known is None:  # of a configuration that this node does not have yet, or no longer
            self._early.append((stream, seq, at, payload))
        elif isinstance(payload, WebhookTold):
            known.told(payload.ids)
        else:
            for place, event in enumerate(payload.events):
                known.decided(f"{identity}/{place}", event)
                if stream == self._stream:
                    known.queue.put(f"{identity}/{place}", event, now)
                else:
                    known.touch(event.channel)

    # --- what was decided before this node was there

    def begin(self, shares: Sequence[Share], since: int, now: float) -> None:
        """Begin to tell, knowing what the other nodes know; cache misses before `since` (see `at`) are not told.

        A share may lack what is on its way to the node that gave it, but that has come here too: so what came on the
        streams is taken after the shares, in the order in which it was said.
        """
        assert self._heard is not None
        heard, self._heard = self._heard, None
        for share in shares:
            for decided in share.decided:
                if (hook := self.hooks.get((decided.app, decided.webhook))) is not None:
                    for event in decided.events:
                        hook.decided("", event)
                    hook.told([""])
            for pending in share.pending:
                if (hook := self.hooks.get((pending.app, pending.webhook))) is not None:
                    hook.pending |= pending.events
        for stream, seq, at, payload in sorted(heard, key=lambda one: one[2]):
            if not isinstance(payload, CacheMiss) or at >= since:
                self.take(stream, seq, at, payload, now)
        for hook in self.hooks.values():
            hook.touch_all(self._channels.names(hook.app))

    def share(self, query: ShareQuery) -> Share:
        """What this node is to tell a node that begins."""
        tellers, share = Tellers(query.among), Share(self._heard is None, [], [])
        for hook in self.hooks.values():
            views = {name: view for name, view in hook.views.items() if tellers.of(hook.app, name) == self._node}
            events = [event for channel, view in views.items() for event in view.events(channel)]
            share.decided.append(WebhookDecided(hook.app, hook.name, events))
            pending = {
                identity: event
                for identity, event in hook.pending.items()
                if tellers.of(hook.app, event.channel) == self._node
            }
            share.pending.append(Pending(hook.app, hook.name, pending))
        return share

    # --- what is to be done

    @property
    def busy(self) -> bool:
        """Whether this node is still to tell something of what has happened so far."""
        if self._heard is not None:
            return False
        if self._settle_at is not None and self.hooks and self._node in self._tellers.nodes:
            return True
        return any(hook.busy for hook in self.hooks.values())

    def look(self, now: float) -> bool:
        """Announce what is to be told; whether there is more to do at once."""
        if self._heard is not None:
            return False
        self._hand_over(now)
        more = False
        for hook in self.hooks.values():
            if hook.busy:
                events, again = hook.look(
                    lambda channel, app=hook.app: self._is_mine(app, channel),  # type: ignore[misc]
                    lambda channel, app=hook.app: self._channels.present(app, channel),  # type: ignore[misc]
                    now,
                    STEPS,
                )
                more |= again
                for start in range(0, len(events), IN_MESSAGE):
                    part = events[start : start + IN_MESSAGE]
                    self.announcements.append(WebhookDecided(hook.app, hook.name, part))
        return more

    def start(self, now: float, at: int) -> list[Post]:
        """The requests to send now, once another node has all that is on the own stream."""
        posts: list[Post] = []
        for hook in self.hooks.values():
            while hook.queue.ready(now):
                body = hook.queue.start(lambda event, hook=hook: event.name in hook.events, at)  # type: ignore[misc]
                if body:
                    posts.append(Post(hook, hook.url, body))
                else:
                    self._over(hook, hook.queue.told())
        return posts

    def told(self, post: Post) -> int:
        """A request was answered with success; how many events it told."""
        told = post.hook.queue.told()
        sent = len(self._over(post.hook, told))
        post.hook.events_sent += sent
        return sent

    def failed(self, post: Post, now: float) -> list[HookEvent]:
        """A request failed; the events that are given up now."""
        post.hook.requests_failed += 1
        dropped = self._over(post.hook, post.hook.queue.failed(now))
        post.hook.events_dropped += len(dropped)
        return dropped

    def tick(self, now: float) -> None:
        """Forget what is over. Call it about every second."""
        self._missed = {key: at for key, at in self._missed.items() if now - at < MISS_PAUSE}
        for hook in self.hooks.values():
            hook.forget_old_misses(now)

    # ---

    def _is_mine(self, app: str, channel: str) -> bool:
        if self._tellers.of(app, channel) != self._node:
            return False
        return self._settle_at is None or self._former.of(app, channel) == self._node

    def _hand_over(self, now: float) -> None:
        if self._leave_at is not None and now >= self._leave_at:
            self._leave_at = None
            for hook in self.hooks.values():
                hook.leave(lambda channel, app=hook.app: self._tellers.of(app, channel) == self._node)  # type: ignore[misc]
        if self._settle_at is not None and now >= self._settle_at:
            self._settle_at, self._former = None, self._tellers
            for hook in self.hooks.values():
                hook.adopt(lambda channel, app=hook.app: self._tellers.of(app, channel) == self._node, now)  # type: ignore[misc]
                hook.touch_all(self._channels.names(hook.app))

    def _over(self, hook: Hook, done: list[Waiting]) -> list[HookEvent]:
        """Announce that these need no telling any more; those that the webhook wanted."""
        hook.told(waiting.id for waiting in done)
        if self.hooks.get((hook.app, hook.name)) is hook:
            for start in range(0, len(done), IN_MESSAGE):
                ids = [waiting.id for waiting in done[start : start + IN_MESSAGE]]
                self.announcements.append(WebhookTold(hook.app, hook.name, ids))
        return [waiting.event for waiting in done if waiting.event.name in hook.events]

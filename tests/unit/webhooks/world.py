"""Nodes without I/O, whose streams take their time, and a receiver that may fail."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from wsmesh.contract import App, Webhook
from wsnode.domain.messages import HookEvent, WebhookPayload
from wsnode.domain.webhook import HookLimits
from wsnode.domain.webhook_look import Present
from wsnode.domain.webhook_view import View
from wsnode.domain.webhooks import Post, ShareQuery, Webhooks

STEP = 0.1
APP = App(id="shop", key="k", secret="s", webhooks=[Webhook(name="all", url="https://a.example/")])

Letter = tuple[str, int, int, WebhookPayload | tuple[str, Present]]
"""The stream, the number, the time, and a message of webhooks or how a channel is from now on."""


class Node:
    """One node: what it sees of the channels, and its webhooks."""

    def __init__(self, name: str, random: Random, limits: HookLimits) -> None:
        self.name = name
        self.stream = f"{name}~{random.randrange(10**6)}"
        self.seq = 0
        self.seen: dict[str, Present] = {}
        self.letters: deque[tuple[float, Letter]] = deque()
        self.webhooks = Webhooks(self.stream, limits, self, random.uniform)
        self.posts: list[tuple[int, Post]] = []
        """Requests that go out once another node has the own stream up to this number."""
        self.answers: list[tuple[float, Post, bool]] = []
        self.took: set[tuple[str, int]] = set()

    def present(self, app: str, channel: str) -> Present:
        """See webhooks.Channels."""
        return self.seen.get(channel, Present())

    def names(self, app: str) -> Iterable[str]:
        """See webhooks.Channels."""
        return [name for name, present in self.seen.items() if present.occupied or present.members]


@dataclass
class World:
    """Time goes in steps. `lag` is how long a message takes at most, `slow` how long an answer does."""

    random: Random
    limits: HookLimits = field(default_factory=lambda: HookLimits(delay=1.0))
    lag: float = 0.3
    slow: float = 0.2
    app: App = APP
    now: float = 0.0
    healthy: bool = True
    nodes: dict[str, Node] = field(default_factory=dict)
    truth: dict[str, Present] = field(default_factory=dict)
    received: list[HookEvent] = field(default_factory=list)
    log: list[Letter] = field(default_factory=list)
    requests: list[tuple[float, str, bytes]] = field(default_factory=list)

    def add(self, *names: str) -> None:
        """Nodes begin: they see the channels, get the streams' logs, and learn from the others what was told."""
        for name in names:
            node = self.nodes[name] = Node(name, self.random, self.limits)
            node.seen = dict(self.truth)
            node.webhooks.apply([self.app], self.now)
        self.agree()
        for name in names:
            others = [node for node in self.nodes.values() if node.name not in names]
            for letter in self.log:
                self._take(self.nodes[name], letter)
            shares = [node.webhooks.share(ShareQuery([node.name for node in others])) for node in others]
            assert all(share.begun for share in shares)
            self.nodes[name].webhooks.begin(shares, int(self.now * 1000), self.now)

    def agree(self) -> None:
        """All nodes learn which nodes there are."""
        for node in self.nodes.values():
            node.webhooks.set_tellers(self.nodes, self.now)

    def kill(self, name: str) -> None:
        """A node dies. What nobody has got of its stream is lost, what somebody has reaches everybody."""
        dead = self.nodes.pop(name)
        for node in self.nodes.values():
            node.letters = deque(
                (due, letter) for due, letter in node.letters if letter[0] != dead.stream or self._has(dead, letter[1])
            )
        self.log = [letter for letter in self.log if letter[0] != dead.stream or self._has(dead, letter[1])]
        self.agree()

    def change(self, channel: str, present: Present) -> None:
        """A channel is so from now on, as each node sees in its time."""
        self.truth[channel] = present
        for node in self.nodes.values():
            self._send(node, ("", 0, 0, (channel, present)))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            self.now += STEP
            for node in list(self.nodes.values()):
                self._run(node)

    def folded(self) -> dict[str, View]:
        """The channels as the receiver sees them."""
        views: dict[str, View] = {}
        for event in self.received:
            views.setdefault(event.channel, View()).fold(event)
        return {channel: view for channel, view in views.items() if not view.empty}

    def repeated(self) -> list[HookEvent]:
        """Events that the receiver had been told already."""
        views: dict[str, View] = {}
        found = []
        for event in self.received:
            view = views.setdefault(event.channel, View())
            before = (view.occupied, list(view.members), view.number)
            view.fold(event)
            if event.name != "cache_miss" and before == (view.occupied, list(view.members), view.number):
                found.append(event)
        return found

    def expected(self) -> dict[str, tuple[bool, set[str], int]]:
        """The channels as they are."""
        return {
            channel: (present.occupied, set(present.members), present.number)
            for channel, present in self.truth.items()
            if present.occupied
        }

    def _run(self, node: Node) -> None:
        for _ in range(len(node.letters)):
            due, letter = node.letters.popleft()
            if due > self.now:
                node.letters.appendleft((due, letter))
                break
            self._take(node, letter)
        for _, post, healthy in [answer for answer in node.answers if answer[0] <= self.now]:
            if healthy:
                node.webhooks.told(post)
            else:
                node.webhooks.failed(post, self.now)
        node.answers = [answer for answer in node.answers if answer[0] > self.now]
        while node.webhooks.look(self.now):
            self._publish(node)
        self._publish(node)
        node.posts += [(node.seq, post) for post in node.webhooks.start(self.now, int(self.now * 1000))]
        self._publish(node)
        node.webhooks.tick(self.now)
        for seq, post in [waiting for waiting in node.posts if len(self.nodes) == 1 or self._has(node, waiting[0])]:
            node.posts.remove((seq, post))
            self._receive(node, post)

    def _has(self, node: Node, seq: int) -> bool:
        """Whether another node that lives has a node's stream up to a number."""
        return not seq or any((node.stream, seq) in other.took for other in self.nodes.values() if other is not node)

    def _publish(self, node: Node) -> None:
        while node.webhooks.announcements:
            node.seq += 1
            payload = node.webhooks.announcements.pop(0)
            letter = (node.stream, node.seq, int(self.now * 1000), payload)
            self.log.append(letter)
            self._take(node, letter)
            for other in self.nodes.values():
                if other is not node:
                    self._send(other, letter)

    def _receive(self, node: Node, post: Post) -> None:
        self.requests.append((self.now, node.name, post.body))
        if self.healthy:
            for event in json.loads(post.body)["events"]:
                shown = (event.get("user_id", ""), event.get("subscription_count", 0))
                self.received.append(HookEvent(event["name"], event["channel"], *shown))
        node.answers.append((self.now + self.random.uniform(0, self.slow), post, self.healthy))

    def _send(self, to: Node, letter: Letter) -> None:
        due = max(self.now + self.random.uniform(0, self.lag), to.letters[-1][0] if to.letters else 0.0)
        to.letters.append((due, letter))

    def _take(self, node: Node, letter: Letter) -> None:
        stream, seq, at, body = letter
        if isinstance(body, tuple):
            node.seen[body[0]] = body[1]
            node.webhooks.observed("shop", body[0])
            return
        assert (stream, seq) not in node.took
        node.took.add((stream, seq))
        node.webhooks.take(stream, seq, at, body, self.now)

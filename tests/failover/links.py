"""The links between the containers: a proxy through which every node reaches every other one and the registry.

It knows who sends by the address that a connection comes from. A rule holds for bytes in one direction, from one name
to another. What a silent link is given waits and arrives when the link is whole again, as TCP's repetitions would; only
`break_open` leaves connections dead for ever while new ones work, as after a router forgot them.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

Way = tuple[str, str]
"""(from, to)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to bytes on their way; seconds, and chances from 0 to 1 for each piece that is read."""

    silent: bool = False
    delay: float = 0.0
    jitter: float = 0.0
    stall: float = 0.0
    stall_chance: float = 0.0
    reset_chance: float = 0.0


WHOLE = Rule()


@dataclass
class Links:
    """All links. `figures` counts what was done to them."""

    random: Random
    names: dict[str, str] = field(default_factory=dict)
    """Address -> name."""
    figures: Counter[str] = field(default_factory=Counter)
    _rules: dict[Way, Rule] = field(default_factory=dict)
    _halves: set[Half] = field(default_factory=set)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _connecting: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, host: str, target: str, address: tuple[str, int]) -> int:
        """Listen for those who want to reach `target`, which is at `address`; returns the port."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Caller(self, target, address), host, 0, backlog=512)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """End all."""
        for server in self._servers:
            server.close()
        for half in list(self._halves):
            half.transport.abort()
        for task in self._connecting:
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def connect(self, caller: Caller) -> None:
        """Reach the target for a caller."""
        self._connecting.add(task := asyncio.create_task(caller.connect()))
        task.add_done_callback(self._connecting.discard)

    def rule(self, way: Way) -> Rule:
        """The rule of one direction."""
        return self._rules.get(way, WHOLE)

    def set(self, ways: Iterable[Way], rule: Rule) -> None:
        """Give directions a rule."""
        for way in ways:
            self._rules[way] = rule
        self._changed()

    def heal(self) -> None:
        """Make all links whole."""
        self._rules.clear()
        self._changed()

    def break_open(self, one: str, other: str) -> int:
        """Let the present connections between two go dead without a word; returns how many."""
        dead = [half for half in self._halves if {half.source, half.target} == {one, other}]
        for half in dead:
            half.dead = True
        return len(dead)

    def _changed(self) -> None:
        for half in list(self._halves):
            half.pump()


class Half(asyncio.Protocol):
    """One end of a connection: what it reads goes to the other end."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.source = self.target = "?"
        self.transport: asyncio.Transport
        self.other: Half | None = None
        self.dead = False
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """This end is there."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.links._halves.add(self)

    def data_received(self, data: bytes) -> None:
        """Something is on its way."""
        self._put(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """This end has gone; the other one learns of it if the link lets it."""
        self.links._halves.discard(self)
        self._put(b"")

    def _put(self, data: bytes) -> None:
        if self.dead:
            return
        rule, links = self.links.rule((self.source, self.target)), self.links
        if rule.reset_chance and data and links.random.random() < rule.reset_chance:
            links.figures["resets"] += 1
            self.transport.abort()
            return
        due = self._loop.time()
        if rule.delay or rule.jitter:
            links.figures["delayed"] += 1
            due += rule.delay + links.random.uniform(0, rule.jitter)
        if rule.stall_chance and links.random.random() < rule.stall_chance:
            links.figures["stalls"] += 1
            due += rule.stall
        if rule.silent:
            links.figures["held back"] += 1
        self._last = max(self._last, due)
        self._waiting.append((self._last, data))
        self.pump()

    def pump(self) -> None:
        """Hand over what may arrive now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.other is None or self.dead or self.links.rule((self.source, self.target)).silent:
            return
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now:
            _, data = self._waiting.popleft()
            if data:
                self.other.transport.write(data)
            else:
                self.other.transport.close()
        if self._waiting:
            self._timer = self._loop.call_at(self._waiting[0][0], self.pump)


class Caller(Half):
    """The end of who wants to reach a target."""

    def __init__(self, links: Links, target: str, address: tuple[str, int]) -> None:
        super().__init__(links)
        self.target = target
        self._address = address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody calls: reach the target for them."""
        super().connection_made(transport)
        self.source = self.links.names.get(transport.get_extra_info("peername")[0], "?")
        self.links.connect(self)

    async def connect(self) -> None:
        """Connect both ends."""
        try:
            _, half = await self._loop.create_connection(lambda: Half(self.links), *self._address)
        except OSError:
            self.transport.abort()
            return
        half.source, half.target, half.other = self.target, self.source, self
        self.other = half
        self.pump()

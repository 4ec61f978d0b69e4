"""A client's connection to a node: what is written arrives in order, after a while, until the connection breaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.simulation.clock import Clock
from wsnode.domain import close_codes
from wsnode.domain.close_codes import Close

if TYPE_CHECKING:
    from tests.simulation.client import Client
    from tests.simulation.node import Node

MAX_UNSENT = 2_000
"""Bytes that may wait for a client that does not read."""


class Link:
    """The edge of a session. `rate`: bytes that the client reads in a second; 0: as they come."""

    def __init__(self, clock: Clock, client: Client, node: Node, *, delay: float, rate: float) -> None:
        self.client = client
        self.node = node
        self.pending: list[bytes] = []
        self.floors: dict[str, dict[str, int]] = {}
        """Channel -> the node's floors when the client subscribed."""
        self._clock = clock
        self._delay = delay
        self._rate = rate
        self._last = 0.0
        self._unsent = 0
        self._writable = True
        self._broken = False

    # --- the node's end

    def flush(self) -> None:
        """Write what is pending."""
        frames, self.pending = self.pending, []
        if not self._writable or not frames:
            return
        size = sum(map(len, frames))
        self._unsent += size
        if self._rate and self._unsent > MAX_UNSENT:
            self._writable = False
            self._clock.after(0.0, lambda: self.node.close(self, close_codes.TOO_SLOW))
            return
        self._carry(frames, size, size)

    def answer(self, frames: Sequence[bytes], missed: Sequence[bytes]) -> None:
        """Write an answer, and what the client has missed, which may be more than may wait otherwise."""
        self.pending += frames
        self.flush()
        if missed and self._writable:
            self._carry(list(missed), sum(map(len, missed)), 0)

    def close(self, close: Close) -> None:
        """The hub wants the connection ended."""
        self._clock.after(0.0, lambda: self.node.close(self, close))

    def closing(self, close: Close) -> None:
        """The node ends it: the client gets what was written, then the code."""
        self._writable = False
        self._clock.after(max(0.0, self._last - self._clock.now) + self._delay, lambda: self._lost(close))

    def node_ended(self) -> None:
        """The node is gone, and with it what was on its way."""
        self._broken = True
        self._clock.after(self._delay, lambda: self.client.lost(self))

    # --- the client's end

    def say(self, text: str) -> None:
        """Send something to the node."""
        self._clock.after(self._delay, lambda: None if self._broken else self.node.when_awake(lambda: self._said(text)))

    def cut(self, node_notices: float) -> None:
        """It breaks: the client knows, the node only after a while."""
        self._broken = True
        self._clock.after(node_notices, lambda: self.node.when_awake(lambda: self.node.lose(self)))

    # ---

    def _said(self, text: str) -> None:
        if not self._broken:
            self.node.hear(self, text)

    def _carry(self, frames: list[bytes], size: int, counted: int) -> None:
        now = self._clock.now
        self._last = max(now + self._delay, self._last) + (size / self._rate if self._rate else 0.0)
        self._clock.after(self._last - now, lambda: self._arrive(frames, counted))

    def _arrive(self, frames: list[bytes], counted: int) -> None:
        if not self._broken:
            self._unsent -= counted
            self.client.receive(self, frames)

    def _lost(self, _close: Close) -> None:
        if not self._broken:
            self._broken = True
            self.client.lost(self)

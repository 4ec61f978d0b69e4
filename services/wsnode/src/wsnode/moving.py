"""Clients leave this node: an operator drains it, it is isolated, or it stops."""

from __future__ import annotations

import asyncio

from wsmesh import logs
from wsnode.domain.close_codes import DRAINING, ISOLATED, LOST, STOPPING
from wsnode.domain.isolation import Isolation
from wsnode.web.clients import Clients

log = logs.get("node")


class Moving:
    """Moves the clients on for as long as there is a reason to; `over` so many seconds."""

    def __init__(self, clients: Clients, isolation: Isolation, over: float) -> None:
        self.stopping = False
        self._clients = clients
        self._isolation = isolation
        self._over = over
        self._told = False
        self._task: asyncio.Task[None] | None = None

    @property
    def leaving(self) -> bool:
        """This node stops, or is drained by an operator."""
        return self.stopping or self._told

    def follow(self, *, told: bool) -> None:
        """An operator drains this node through the registry, or takes that back."""
        told = told and not self.stopping
        if told == self._told:
            return
        self._told = told
        log.info("drain" if told else "undrain", by="registry")
        self._move()

    def look(self, now: float, *, peers_expected: int, peers_up: int, registry_problem: str) -> None:
        """A node that reaches nobody hears nothing new, and may hold the only copy of what is published at it."""
        before = self._isolation.standing
        standing = self._isolation.look(
            now, peers_expected=peers_expected, peers_up=peers_up, registry_reachable=not registry_problem
        )
        if standing != before:
            level = log.info if standing == "together" else log.warning
            level(f"isolation_{standing}", peers=peers_expected, registry=registry_problem)
            self._move()

    async def stop(self) -> None:
        """Move all clients on, for good; `stopping` is set before."""
        log.info("draining", connections=self._clients.sessions, seconds=self._over)
        if self._task is not None:
            self._task.cancel()
        await self._clients.close_all(over=self._over)

    def _move(self) -> None:
        """Move the clients on while an operator or isolation asks for it; take clients again when neither does."""
        isolated = self._isolation.standing == "moving"
        wanted = self._told or isolated
        if self.stopping or wanted == (self._task is not None):
            return
        if self._task is not None:
            self._task.cancel()
            self._task, self._clients.draining = None, False
            return
        close, turned_away = (ISOLATED, LOST) if isolated else (DRAINING, STOPPING)
        self._task = asyncio.create_task(self._clients.close_all(close, self._over, turned_away=turned_away))

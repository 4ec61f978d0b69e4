"""What nodes agree on about webhooks: who tells, and what was decided before one of them was there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Protocol

from wsmesh import logs
from wsmesh.contract import Node, NodeState
from wsnode.adapters.mesh_client import PeerFailed
from wsnode.domain.mesh import Mesh
from wsnode.domain.webhook_tellers import eligible
from wsnode.domain.webhooks import Share, ShareQuery, Webhooks
from wsnode.publishing import InsufficientAcks, Stream

log = logs.get("webhooks")


class Asker(Protocol):
    """Asks peers."""

    async def webhook_share(self, address: str, query: ShareQuery) -> Share:
        """What that node knows that was told to webhooks. Raises PeerFailed."""
        ...


class WebhookCluster:
    """Tells the webhooks of this node what the registry and the peers say. `clock` is steady seconds."""

    def __init__(
        self, *, mesh: Mesh, stream: Stream, webhooks: Webhooks, asker: Asker, clock: Callable[[], float]
    ) -> None:
        self._mesh = mesh
        self._stream = stream
        self._webhooks = webhooks
        self._asker = asker
        self._clock = clock
        self._states: dict[str, NodeState] = {}

    def use(self, nodes: Iterable[Node]) -> None:
        """Take the registry's view of who is a member."""
        self._states = {node.id: node.state for node in nodes}

    def agree(self, *, leaving: bool) -> None:
        """Say which nodes tell, as far as is known here; `leaving`: this one goes. Call it after each change.

        A node that reaches neither the registry nor most nodes may be cut off, and what it sees of the others' clients
        is not so: nobody tells then, as far as it knows.
        """
        states = dict(self._states)
        if leaving and self._mesh.node in states:
            states[self._mesh.node] = "draining"
        down = {peer.node for peer in self._mesh.peers.values() if peer.state == "down"}
        reached = 1 + sum(node in states for node in self._mesh.up())
        cut_off = not self._mesh.registry_reachable and 2 * reached <= len(states)
        self._webhooks.set_tellers(() if cut_off else eligible(states, down), self._clock())

    async def learn(self, since: int) -> None:
        """Ask the peers what was decided; cache misses before `since`, milliseconds of the day's time, are theirs.

        When one does not answer, or does not know it itself yet, the rest is asked again to answer for that one too.
        """
        asked = {peer.node: peer.address for peer in self._mesh.peers.values() if peer.state == "up"}
        while True:
            query = ShareQuery(sorted(asked))
            asking = [self._asker.webhook_share(address, query) for address in asked.values()]
            answers = dict(zip(asked, await asyncio.gather(*asking, return_exceptions=True), strict=True))
            shares = {node: share for node, share in answers.items() if isinstance(share, Share) and share.begun}
            for node, answer in answers.items():
                if isinstance(answer, PeerFailed):
                    log.warning("webhooks_not_learned", peer=node, reason=str(answer))
                elif isinstance(answer, BaseException):
                    raise answer
            if len(shares) == len(asked):
                break
            asked = {node: asked[node] for node in shares}
        self._webhooks.begin(list(shares.values()), since, self._clock())

    async def held(self) -> None:
        """Wait until another node, if one is up, has all that is on the own stream; no longer than ACK_TIMEOUT."""
        with contextlib.suppress(InsufficientAcks):
            await self._stream.acknowledged(self._mesh.stream, self._mesh.log.last, min(1, len(self._mesh.up())))

"""Questions of the publish API to every other node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from wsnode.adapters.mesh_client import MeshClient, PeerFailed
from wsnode.domain.mesh import Mesh
from wsnode.publishing import ChannelCounts, ChannelQuery, ChannelUsers, UserQuery

T = TypeVar("T")


class PeerAnswers:
    """`publishing.Cluster` over the mesh."""

    def __init__(self, mesh: Mesh, client: MeshClient) -> None:
        self._mesh = mesh
        self._client = client

    async def ask_peers(self, query: ChannelQuery) -> tuple[dict[str, ChannelCounts], list[str]]:
        """See publishing.Cluster."""
        return await self._ask(lambda address: self._client.channel_counts(address, query))

    async def ask_users(self, query: UserQuery) -> tuple[dict[str, ChannelUsers], list[str]]:
        """See publishing.Cluster."""
        return await self._ask(lambda address: self._client.channel_users(address, query))

    async def _ask(self, ask: Callable[[str], Awaitable[T]]) -> tuple[dict[str, T], list[str]]:
        peers = [peer for peer in self._mesh.peers.values() if peer.state != "down"]
        asked = [ask(peer.address) for peer in peers]
        answers: dict[str, T] = {}
        silent: list[str] = []
        for peer, answer in zip(peers, await asyncio.gather(*asked, return_exceptions=True), strict=True):
            if isinstance(answer, PeerFailed):
                silent.append(peer.node)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                answers[peer.node] = answer
        return answers, silent

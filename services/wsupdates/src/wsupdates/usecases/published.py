"""What nodes and balancers are told, kept ready in memory, and the wait for the next change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from wsmesh.contract import ClusterConfig, Slots
from wsupdates.domain import generation
from wsupdates.domain.members import Member
from wsupdates.usecases.store import Store, StoreUnavailable

POLL_SECONDS = 0.25
"""How often a database that others may change is asked for its generation while somebody waits."""


class Published:
    """The present configuration as bytes, one generation at a time."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._loading = asyncio.Lock()
        self._next = asyncio.Event()
        self._closed = False
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.config = b""
        self.slots = b""

    async def bump(self) -> None:
        """Inside a transaction: mark that what nodes or balancers see changes."""
        await self._store.set_generation(generation.after(await self._store.generation(), self._clock()))

    async def refresh(self) -> None:
        """Load what the database holds, if its generation is another, and wake who waits."""
        async with self._loading:
            # The generation is read first: rows may then be newer than it, never older, and a later number corrects it.
            present = await self._store.generation()
            if present == self.generation:
                return
            members = await self._store.members()
            apps = await self._store.apps()
            live = [member for member in members if member.live]
            config = ClusterConfig(generation=present, nodes=[member.node() for member in live], apps=apps)
            slots = Slots(generation=present, slots=[member.in_slot() for member in live])
            self.config = msgspec.json.encode(config)
            self.slots = msgspec.json.encode(slots)
            self.members = {member.id: member for member in members}
            self.generation = present
            self._next.set()
            self._next = asyncio.Event()

    async def other_than(self, seen: int | None, seconds: float) -> bool:
        """Wait until the generation is not `seen`, `seconds` at most; whether it is so."""
        await self.refresh()
        deadline = asyncio.get_running_loop().time() + seconds
        while self.generation == seen and not self._closed:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            step = min(left, POLL_SECONDS) if self._store.shared else left
            try:
                async with asyncio.timeout(step):
                    await self._next.wait()
            except TimeoutError:
                await self._look_again()
        return self.generation != seen

    def close(self) -> None:
        """Answer everybody who waits, now."""
        self._closed = True
        self._next.set()

    async def _look_again(self) -> None:
        try:
            await self.refresh()
        except StoreUnavailable:
            return  # who waits is no worse off than with an answer that nothing changed

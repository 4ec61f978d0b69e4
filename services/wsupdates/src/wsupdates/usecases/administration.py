"""What every administrative change has in common: it is recorded, in the same transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wsupdates.domain.audit import Entry
from wsupdates.usecases.store import Store


class Administration:
    """The audit record."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    async def record(
        self, key_name: str, action: str, thing: str, before: dict[str, Any] | None, after: dict[str, Any] | None
    ) -> None:
        """Write down a change; call it inside the transaction that makes it."""
        await self._store.record(
            Entry(at=self._clock(), key=key_name, action=action, object=thing, before=before, after=after)
        )

    async def entries(self, before: int | None, limit: int) -> list[Entry]:
        """The latest entries, those whose id is below `before`, newest first."""
        return await self._store.audit(before, limit)

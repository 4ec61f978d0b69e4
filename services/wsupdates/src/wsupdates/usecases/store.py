"""What the use cases need of a database."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from wsmesh.contract import App
from wsupdates.domain.audit import Entry
from wsupdates.domain.keys import ApiKey
from wsupdates.domain.members import Member


class StoreUnavailable(Exception):
    """The database does not answer. Nothing was changed."""


class Duplicate(Exception):
    """The database holds another row with the same unique value (slot, id, key). Nothing was changed."""


class Store(Protocol):
    """The registry's memory. Every method raises StoreUnavailable when the database does not answer."""

    shared: bool
    """Whether other registries may change it."""

    def changing(self) -> AbstractAsyncContextManager[None]:
        """A transaction in which no other one changes anything; all calls inside belong to it."""
        ...

    async def check(self) -> None:
        """Raise StoreUnavailable unless the database answers and all migrations are applied."""
        ...

    async def generation(self) -> int:
        """The present generation."""
        ...

    async def set_generation(self, generation: int) -> None:
        """Write the generation."""
        ...

    async def members(self) -> list[Member]:
        """All members, gone ones too, by slot."""
        ...

    async def member(self, node_id: str) -> Member | None:
        """One member."""
        ...

    async def save_member(self, member: Member) -> None:
        """Add or change a member. Raises Duplicate when another one holds its slot."""
        ...

    async def remove_member(self, node_id: str) -> None:
        """Forget a member and free its slot."""
        ...

    async def save_heartbeats(self, members: Iterable[Member]) -> None:
        """Write `seen_at` and `figures` of members that still hold their lease with the same run."""
        ...

    async def apps(self, after: str = "", limit: int | None = None) -> list[App]:
        """Apps by id, those whose id is greater than `after`."""
        ...

    async def app(self, app_id: str) -> App | None:
        """One app."""
        ...

    async def add_app(self, app: App) -> None:
        """Add an app. Raises Duplicate when its id or key is taken."""
        ...

    async def save_app(self, app: App) -> None:
        """Change an app."""
        ...

    async def remove_app(self, app_id: str) -> None:
        """Forget an app."""
        ...

    async def key(self, digest: str) -> ApiKey | None:
        """The API key with this digest."""
        ...

    async def keys(self, after: str = "", limit: int | None = None) -> list[ApiKey]:
        """API keys by id."""
        ...

    async def add_key(self, key: ApiKey, digest: str) -> None:
        """Add an API key. Raises Duplicate when its id or digest is taken."""
        ...

    async def remove_key(self, key_id: str) -> None:
        """Forget an API key."""
        ...

    async def record(self, entry: Entry) -> None:
        """Add to the audit record; the id is given here."""
        ...

    async def audit(self, before: int | None, limit: int) -> list[Entry]:
        """The latest entries, those whose id is below `before`, newest first."""
        ...

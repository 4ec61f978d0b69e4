"""Wait for a condition that nobody announces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

STEP = 0.01


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Look at `condition` again and again until it holds. Raises TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(STEP)


async def until_async(condition: Callable[[], Awaitable[object]], seconds: float = 5.0) -> None:
    """The same for a condition that must be asked for."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(STEP)

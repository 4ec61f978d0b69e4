"""Wait for a condition that nobody announces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

STEP = 0.01


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Look at `condition` again and again until it holds. Raises TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(STEP)

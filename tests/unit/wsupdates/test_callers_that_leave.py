"""A caller that goes away in the middle of a request leaves the registry whole."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.support.registry import Api, registration

ROUNDS = 60


async def give_up(api: Api, number: int) -> None:
    """Register a node, and cut the connection a moment later, each time at another point of the registry's work."""
    headers = {"authorization": f"Bearer {api.keys['node']}"}
    async with aiohttp.ClientSession() as session:
        request = asyncio.create_task(
            session.post(api.url + "/api/v1/nodes", json=registration("n1", f"n1~{number:05}"), headers=headers)
        )
        for _ in range(number):
            await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            (await request).close()
            raise asyncio.CancelledError  # it was quick enough to be answered


async def test_a_change_is_made_whole_or_not_at_all(api: Api) -> None:
    """However many callers leave in the middle of a change, the next one is served."""
    for number in range(1, ROUNDS):
        await give_up(api, number)
    async with asyncio.timeout(5):
        answer = await api("POST", "/api/v1/nodes", role="node", json=registration("n2"))
    assert answer.status == 200, answer.raw

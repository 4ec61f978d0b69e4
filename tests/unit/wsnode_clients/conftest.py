"""These tests run under the loop that nodes run under."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give every test of this folder uvloop."""
    return {"uvloop": uvloop.new_event_loop}

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support.browser import a_browser
from tests.support.demo import Demo, a_demo

expect.set_options(timeout=20_000)
OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A demo that `make demo DETACH=1` started."""
    with a_demo(tmp_path / "demo") as demo:
        done = demo.make("demo", DETACH=1)
        assert done.returncode == 0, done.stdout + done.stderr
        yield demo


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with a_browser() as browser:
        yield browser


@pytest.fixture
async def open_page(demo: Demo, browser: Browser) -> AsyncIterator[OpenPage]:
    """Opens the demo's page as a visitor of its own, and fails the test when the page has an error."""
    errors: list[str] = []

    async def opened(**how: Any) -> Page:
        visitor = await browser.new_context(ignore_https_errors=True, **how)
        page = await visitor.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
        await page.goto(demo.cluster["url"])
        await expect(page.get_by_test_id("here")).to_contain_text("n")
        await expect(page.locator("#status")).to_have_text("connected")
        await expect(page.locator("tr.here")).to_have_count(1)
        return page

    yield opened
    assert errors == []

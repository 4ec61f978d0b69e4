"""The demo's page in a real browser, with the unmodified pusher-js that it ships."""

from __future__ import annotations

import os
import re
import signal

from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.support.browser import screenshot
from tests.support.demo import Demo

WAIT = 20_000
"""Milliseconds in which a page must have got over a node's death."""


async def number(page: Page, name: str) -> int:
    """A counter of the page."""
    return int(await page.get_by_test_id(name).inner_text())


async def received(page: Page, least: int) -> None:
    """Wait until the page has received so many messages."""
    newest = page.get_by_test_id("message").nth(least - 1)
    await expect(newest).to_be_visible(timeout=WAIT)


async def test_publish(open_page: OpenPage) -> None:
    """What one visitor publishes with the button, every visitor sees, with the event's id."""
    pages = [await open_page(), await open_page()]
    await pages[0].get_by_label("Message", exact=True).fill("<b>hello</b> & grüße")
    await pages[0].get_by_test_id("publish").click()
    for page in pages:
        message = page.get_by_test_id("message")
        await expect(message).to_have_count(1)
        await expect(message.locator(".text")).to_have_text("<b>hello</b> & grüße")
        ids = await message.locator(".id").inner_text()
        stream, _, seq = ids.partition(":")
        assert stream.startswith("n")
        assert int(seq) >= 1
        await expect(page.get_by_test_id("received")).to_have_text("1")
    await screenshot(pages[0], "published")


async def test_node_killed(demo: Demo, open_page: OpenPage) -> None:
    """When the node that serves the page is killed while messages flow, the page goes on at another one."""
    page = await open_page()
    here = await page.get_by_test_id("here").inner_text()
    await page.get_by_test_id("flow").click()
    await received(page, 5)
    await screenshot(page, "1-before-the-kill")

    assert demo.make("demo-kill", NODE=here[1:]).returncode == 0
    await expect(page.get_by_test_id("reconnects")).to_have_text("1", timeout=WAIT)
    await expect(page.locator("#status")).to_have_text("connected", timeout=WAIT)
    await expect(page.get_by_test_id("here")).not_to_have_text(here, timeout=WAIT)
    await expect(page.locator("tr.here")).to_have_count(1, timeout=WAIT)
    await received(page, await number(page, "received") + 5)
    await expect(page.get_by_role("row", name=here)).to_contain_text(re.compile("down|out"))
    await screenshot(page, "2-after-the-kill")

    await page.get_by_test_id("flow").click()
    assert [await number(page, name) for name in ("lost", "missed", "repeated")] == [0, 0, 0]
    assert await number(page, "resumed") == 1
    assert demo.pid(int(here[1:])) is None


async def test_registry_killed(demo: Demo, open_page: OpenPage) -> None:
    """Without its registry the page says so, and messages flow as before."""
    page = await open_page()
    os.kill(demo.cluster["registry"]["pid"], signal.SIGKILL)
    await expect(page.get_by_text("The registry does not answer")).to_be_visible(timeout=WAIT)
    await page.get_by_test_id("publish").click()
    await expect(page.get_by_test_id("message")).to_have_count(1)
    await screenshot(page, "without-the-registry")


async def test_keyboard_dark_and_narrow(open_page: OpenPage) -> None:
    """The page works with the keyboard alone, in the dark, and on a phone without scrolling sideways."""
    page = await open_page(color_scheme="dark", viewport={"width": 360, "height": 740})
    for _ in range(12):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.id") == "text":
            break
    await page.keyboard.type(" from the keyboard")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("message").locator(".text")).to_contain_text("from the keyboard")
    await screenshot(page, "dark-and-narrow")
    wide = "[...document.body.querySelectorAll('*')].filter(e => !e.closest('table, .skip'))"
    wide += ".filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth).map(e => e.outerHTML)"
    assert await page.evaluate(wide) == []


async def test_back_end_refuses(open_page: OpenPage) -> None:
    """The page's back end says what is wrong with a body, and takes nothing that another site's form could send."""
    page = await open_page()
    url = page.url + "demo/publish"

    async def post(body: str, kind: str) -> tuple[int, str]:
        answer = await page.request.post(url, data=body.encode(), headers={"content-type": kind})
        return answer.status, (await answer.json())["error"]["code"]

    assert await post('{"text": "x"}', "text/plain") == (415, "unsupported_type")
    assert await post("{", "application/json") == (400, "not_json")
    assert await post("[]", "application/json") == (400, "schema")
    assert await post('{"text": ""}', "application/json") == (400, "schema")
    assert await post('{"text": "%s"}' % ("x" * 5000), "application/json") == (413, "http")
    assert (await page.request.get(page.url + "demo/static/../../main.py")).status == 404
    await expect(page.get_by_test_id("received")).to_have_text("0")

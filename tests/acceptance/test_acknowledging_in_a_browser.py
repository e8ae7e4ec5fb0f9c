"""The acknowledgement page in a real browser, on an old telephone's screen and on a usual one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import async_playwright

from support.running_office import CASE
from support.web_office import link_in, web_office, with_changes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from playwright.async_api import Browser, Page

CHROMIUM = "/usr/bin/chromium"
HANDLER = "handler0@example.com"
OLD, USUAL = (240, 320), (390, 844)
SHOTS = os.environ.get("DUBAN_SCREENSHOTS")  # a folder to keep the pictures in, to look at them


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """Debian's Chromium, with no script running in any page."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        await started.close()


async def opened(browser: Browser, size: tuple[int, int], address: str) -> Page:
    """A page on a screen of that size."""
    width, height = size
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=2,
        java_script_enabled=False,
        locale="zh-CN",
    )
    page = await context.new_page()
    answer = await page.goto(address)
    assert answer is not None
    assert answer.status == 200
    return page


async def keep(page: Page, name: str) -> bytes:
    """A picture of what is on the screen."""
    folder = Path(SHOTS) if SHOTS else None
    return await page.locator(".page").screenshot(path=folder / f"{name}.png" if folder else None)


async def widest(page: Page) -> float:
    """How far the boxes of the page reach to the right."""
    boxes = [await one.bounding_box() for one in await page.locator("body *").all()]
    return max(box["x"] + box["width"] for box in boxes if box is not None)


@pytest.mark.parametrize("size", [OLD, USUAL])
async def test_an_official_acknowledges_with_one_press(
    tmp_path: Path, sqlite_store_url: str, browser: Browser, size: tuple[int, int]
) -> None:
    """The button is reached without scrolling sideways, large enough for a thumb, and says what happened."""
    async with web_office(tmp_path, sqlite_store_url) as (world, telephone):
        (mail,) = [one for one in await world.work() if one.to == HANDLER]
        page = await opened(browser, size, telephone.base + link_in(mail.text))
        assert await page.locator("h1").inner_text() == "请签收"
        assert CASE in await page.content()
        button = page.locator("input[type=submit]")
        box = await button.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert await widest(page) <= size[0]
        assert await button.evaluate("one => getComputedStyle(one).backgroundColor") == "rgb(43, 95, 168)"
        assert await keep(page, f"asked-{size[0]}")
        await button.click()
        assert await page.locator("h1").inner_text() == "已签收"
        assert await keep(page, f"taken-{size[0]}")
        assert [one.acknowledged_at is not None for one in world.deliveries("email")] == [True]


@pytest.mark.parametrize("size", [OLD, USUAL])
async def test_a_digest_is_a_list_with_a_button_for_each(
    tmp_path: Path, sqlite_store_url: str, browser: Browser, size: tuple[int, int]
) -> None:
    """One of four is signed for singly, then all the rest."""
    together = ("policies/office.yaml", "via: [sms, email]", "via: [email]\ndigest: {lights: [yellow], at_least: 2}")
    async with web_office(tmp_path, sqlite_store_url, prepare=with_changes(together), cases=31) as (world, telephone):
        await world.live_until("2026-09-28 08:00")
        (mail,) = [one for one in await world.live_until("2026-09-28 10:00") if one.to == HANDLER]
        page = await opened(browser, size, telephone.base + link_in(mail.text))
        assert await widest(page) <= size[0]
        await page.locator("input.small").nth(1).click()
        assert await page.locator("input.small").count() == 3
        await keep(page, f"digest-{size[0]}")
        await page.locator("input.button").click()
        assert await page.locator("input").count() == 0

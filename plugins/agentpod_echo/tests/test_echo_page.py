"""The page in a real browser: a wrong token, the right one, a message and its echo."""

from __future__ import annotations

import shutil

import pytest
from playwright.async_api import async_playwright, expect

TOKEN = "a-token-of-the-tests"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's Chromium"),
]


async def test_a_browser_connects_and_hears_its_echo(echo):
    """A wrong token is told, the right one opens the talk, and a message comes back; nothing is logged as an error."""
    errors = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = await browser.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(f"http://{echo.address}/")
        await expect(page.locator("#greeting")).to_contain_text("say it back")
        await expect(page.locator("#say")).to_be_hidden()
        await page.fill("#token", "wrong")
        await page.click("#enter button")
        await expect(page.locator("#status")).to_have_text("The token is wrong.")
        await page.fill("#token", TOKEN)
        await page.click("#enter button")
        await expect(page.locator("#status")).to_have_text("Connected to support.")
        await page.fill("#text", "<b>hello</b>")
        await page.click("#say button")
        await expect(page.locator("li.theirs")).to_have_text("<b>hello</b>")
        await browser.close()
    assert [error for error in errors if "favicon" not in error] == []

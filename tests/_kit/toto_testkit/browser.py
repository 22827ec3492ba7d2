"""A real browser for pages that are served by the product."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

__all__ = ["Tab", "open_browser", "open_tab"]

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT_MS = 15_000


class Tab:
    """A page in a profile of its own, and what its console said was wrong."""

    def __init__(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


def chromium_path() -> str:
    """Return the path of the browser; without one the test is skipped, and fails in CI."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    reason = f"there is no browser here: none of {', '.join(NAMES)}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a browser with an empty profile; it is gone, and the profile too, at the end.

    Inside the block this thread has a running event loop, so nothing may call ``asyncio.run``.
    """
    path = chromium_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_tab(browser: Browser, **options: object) -> Iterator[Tab]:
    """Open a tab that shares nothing with others.

    Args:
        browser: of ``open_browser``.
        options: of Playwright's ``new_context``.
    """
    context = browser.new_context(**options)  # type: ignore[arg-type]  # each has its own type
    context.set_default_timeout(TIMEOUT_MS)
    try:
        yield Tab(context)
    finally:
        context.close()

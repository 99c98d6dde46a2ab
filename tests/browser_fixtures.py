"""Debian's chromium, one for all tests, and a page that may talk to this machine only."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Gradio's own, when a page is left in the middle of a stream.
LEAVING = (
    "AbortError",
    "Connection errored out",
    "ERR_ABORTED",
    "network error",
    "Failed to fetch",
)

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright keeps an event loop in the main thread from its start to
    its end, and there asyncio.run refuses to start another.
    """
    items.sort(key=lambda item: "browser" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser; a machine without one fails, and says how to get it."""
    path = shutil.which("chromium")
    assert path, "The page's tests need chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages as a new visitor each: `open_page(url, width=390, dark=True)`.

    Afterwards it checks that nothing was asked of another machine and no script failed.
    """
    contexts: list[BrowserContext] = []
    abroad: list[str] = []
    faults: list[str] = []

    def opened(url: str, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: abroad.extend(outside(request.url)))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.goto(url)
        # The page is ready once the server has told it which drawings this visitor has.
        page.wait_for_selector(".recent", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not abroad
    assert not [fault for fault in faults if not any(text in fault for text in LEAVING)]


def outside(url: str) -> list[str]:
    """The address if it leads to another machine, else nothing."""
    parts = urlsplit(url)
    here = parts.hostname in ("127.0.0.1", "localhost") or parts.scheme in ("data", "blob")
    return [] if here else [url]


def draw(page: Page, prompt: str) -> None:
    """Type a prompt and press Enter."""
    page.fill("#prompt textarea", prompt)
    page.press("#prompt textarea", "Enter")


def wait_for_pictures(page: Page, prompt: str, count: int) -> None:
    """Wait until `count` finished pictures of the prompt are there, decoded."""
    page.wait_for_function(
        """([prompt, count]) => {
            const pictures = [...document.querySelectorAll('.board-tiles img')]
              .filter((picture) => picture.offsetParent !== null);
            return pictures.length === count
              && pictures.every((p) => p.alt === prompt && p.complete && p.naturalWidth > 0);
        }""",
        arg=[prompt, count],
    )

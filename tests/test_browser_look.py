"""How the page holds up: for people with other senses, small screens, and when things go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_fixtures import OpenPage, draw, wait_for_pictures
from playwright.sync_api import Page
from serving import Served, serve
from squares import Squares

from dalle_app.settings import Settings

MORE = "crayonbox:more"  # where the browser keeps what stands in “More”


@pytest.fixture
def squares() -> Squares:
    """An engine without weights."""
    return Squares()


@pytest.fixture
def squares_site(squares: Squares, tmp_path: Path) -> Iterator[Served]:
    """The whole app over that engine."""
    with serve([squares], Settings(data_dir=tmp_path / "data")) as served:
        yield served


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_serious_fault_before_and_after_drawing(
    squares_site: Served, open_page: OpenPage, dark: bool
) -> None:
    page = open_page(squares_site.url, dark=dark)
    assert _serious_faults(page) == []
    draw(page, "a blue harp")
    wait_for_pictures(page, "a blue harp", 9)
    page.click(".folds button:has-text('More')")
    page.wait_for_selector("#guidance")
    assert _serious_faults(page) == []
    page.click("[role=tab] >> text=API")
    page.wait_for_selector("#api-key")
    assert _serious_faults(page) == []


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_shows_the_grid_as_a_grid_and_never_scrolls_sideways(
    squares_site: Served, open_page: OpenPage, width: int
) -> None:
    page = open_page(squares_site.url, width=width, height=700)
    assert _page_width(page) == width
    draw(page, "a " + "very" * 40 + " long harp, مرحبا 🎨")
    wait_for_pictures(page, "a " + "very" * 40 + " long harp, مرحبا 🎨", 9)
    assert _page_width(page) == width
    boxes = page.evaluate(
        """[...document.querySelectorAll('.board-tiles .cell')].map((cell) => {
            const box = cell.getBoundingClientRect();
            return [Math.round(box.left), Math.round(box.top), Math.round(box.width)];
        })"""
    )
    assert len({left for left, _, _ in boxes}) == 3
    assert len({top for _, top, _ in boxes}) == 3
    assert all(left >= 0 and left + size <= width for left, _, size in boxes)
    board = page.locator(".grid-place .board-tiles").bounding_box()
    assert board
    assert board["height"] == pytest.approx(board["width"], abs=2)  # nothing scrolls inside


def test_touch_targets_of_a_phone_are_44_pixels_high(
    squares_site: Served, open_page: OpenPage
) -> None:
    page = open_page(squares_site.url, width=390)
    small = page.evaluate(
        """[...document.querySelectorAll(
                '.prompt-row button, .chips label, .sides label, .seed input, .dice, .pin label, '
                + '[role=combobox], .head button, [role=tab]')]
            .filter((element) => element.checkVisibility())
            .map((element) => [element.className, element.getBoundingClientRect().height])
            .filter(([, height]) => height > 0 && height < 42)"""
    )
    assert small == []


def test_what_cannot_be_drawn_is_said_under_the_prompt_and_nothing_is_lost(
    squares_site: Served, open_page: OpenPage
) -> None:
    page = open_page(squares_site.url)
    draw(page, "   ")
    page.wait_for_selector(".problem >> text=The prompt is empty.")
    page.fill("#seed input", "abc")
    draw(page, "a blue harp")
    page.wait_for_selector(".problem >> text=The seed must be a whole number, not “abc”.")
    assert page.input_value("#prompt textarea") == "a blue harp"
    assert page.input_value("#seed input") == "abc"
    page.click(".dice")
    page.wait_for_function("document.querySelector('#seed input').value === ''")
    draw(page, "a blue harp")
    wait_for_pictures(page, "a blue harp", 9)
    assert page.locator(".problem").count() == 0


def test_a_bug_shows_an_id_and_no_traceback(
    squares_site: Served, squares: Squares, open_page: OpenPage
) -> None:
    squares.error = RuntimeError("the secret of the engine")
    page = open_page(squares_site.url)
    draw(page, "a blue harp")
    page.wait_for_selector(".status-failed >> text=/id [0-9a-f]{8} in the log/")
    assert "secret of the engine" not in page.content()
    assert "Traceback" not in page.content()


def test_html_in_a_prompt_is_shown_as_it_was_typed(
    squares_site: Served, open_page: OpenPage
) -> None:
    prompt = "<img src=x onerror=alert(1)> ${1+1} {{value}} \"' &amp;"
    page = open_page(squares_site.url)
    draw(page, prompt)
    wait_for_pictures(page, prompt, 9)
    assert page.inner_text(".caption q") == prompt


def test_the_theme_can_be_turned_and_stays(squares_site: Served, open_page: OpenPage) -> None:
    page = open_page(squares_site.url)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 249, 240)"
    page.click("[data-theme-toggle]")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(27, 24, 21)"
    page.reload()
    page.wait_for_selector("body.dark .recent", state="attached")


def test_more_is_remembered_by_the_browser(squares_site: Served, open_page: OpenPage) -> None:
    page = open_page(squares_site.url)
    page.click(".folds button:has-text('More')")
    page.wait_for_selector("#guidance input")
    kept = page.evaluate(f"localStorage.getItem('{MORE}')")
    page.fill("#guidance input", "3.5")
    page.press("#guidance input", "Tab")
    page.wait_for_function(f"(kept) => localStorage.getItem('{MORE}') !== kept", arg=kept)
    page.reload()
    page.wait_for_selector("#guidance")
    assert page.input_value("#guidance input") == "3.5"


def _serious_faults(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:160]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def _page_width(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth"))

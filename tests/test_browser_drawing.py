"""What a person does on the page, in a real browser."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from browser_fixtures import OpenPage, draw, wait_for_pictures
from PIL import Image
from playwright.sync_api import Page
from serving import Served, serve
from squares import Squares

from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.grid import PAPER
from dalle_app.recipe import recipe_from_png
from dalle_app.settings import Settings
from dalle_app.ui.examples import examples

# Keeps every preview that the page shows: those between two looks of a test too.
WATCH_PREVIEWS = """
window.previews = [];
new MutationObserver(() => {
  const board = document.querySelector('.board-preview[role=img]');
  const sheet = board?.style.getPropertyValue('--sheet');
  if (sheet && sheet !== window.previews.at(-1)) window.previews.push(sheet);
}).observe(document.body, { childList: true, subtree: true, attributeFilter: ["style"] });
"""


@pytest.fixture
def pocket_site(tmp_path: Path) -> Iterator[Served]:
    """The whole app as it ships: the small random weights are too fast to be seen drawing."""
    settings = Settings(data_dir=tmp_path / "data")
    with serve([LocalEngine(settings)], settings) as served:
        yield served


@pytest.fixture
def squares() -> Squares:
    """An engine that the test can hold in the middle of a drawing."""
    return Squares(hold_from=3)


@pytest.fixture
def held_site(squares: Squares, tmp_path: Path) -> Iterator[Served]:
    """The whole app over that engine, held after two of four steps."""
    squares.gate.clear()
    with serve([squares], Settings(data_dir=tmp_path / "data")) as served:
        yield served
        squares.gate.set()


def test_enter_draws_nine_pictures_that_fill_row_by_row_and_can_be_saved(
    pocket_site: Served, open_page: OpenPage
) -> None:
    page = open_page(pocket_site.url)
    page.evaluate(WATCH_PREVIEWS)
    draw(page, "a blue harp")
    wait_for_pictures(page, "a blue harp", 9)
    previews = [_drawn_share(sheet) for sheet in page.evaluate("window.previews")]
    assert len(previews) >= 4
    assert all(earlier < later for earlier, later in pairwise(previews))

    with page.expect_download() as saving:
        page.click("text=Download grid")
    seed = page.input_value("#seed input")
    assert saving.value.suggested_filename == f"a-blue-harp-seed{seed}-grid.png"
    png = Path(saving.value.path()).read_bytes()
    recipe = recipe_from_png(io.BytesIO(png))
    assert (recipe.request.prompt, str(recipe.request.seed)) == ("a blue harp", seed)
    assert recipe.request.count == 9
    with (
        Image.open(io.BytesIO(png)) as grid,
        Image.open(io.BytesIO(_first(page, pocket_site))) as one,
    ):
        assert grid.size == (3 * one.width, 3 * one.height)
        assert grid.crop((0, 0, *one.size)).tobytes() == one.tobytes()


def test_escape_stops_a_drawing_and_what_is_there_stays(
    held_site: Served, open_page: OpenPage
) -> None:
    page = open_page(held_site.url)
    draw(page, "a red cat")
    page.wait_for_selector(".board-preview[role=img]")
    page.keyboard.press("Escape")
    page.wait_for_selector("text=Stopped at row 3 of 4; here is what there was.")
    wait_for_pictures(page, "a red cat", 9)
    assert page.locator("button.stop >> visible=true").count() == 0


def test_a_second_drawing_waits_and_is_shown_when_the_first_is_done(
    held_site: Served, squares: Squares, open_page: OpenPage
) -> None:
    page = open_page(held_site.url)
    draw(page, "first")
    page.wait_for_selector(".board-preview[role=img]")
    draw(page, "second")
    page.wait_for_selector("text=1 more waiting")
    assert page.locator(".board-preview[role=img]").count() == 1  # the first is still seen
    squares.gate.set()
    wait_for_pictures(page, "second", 9)
    page.wait_for_function("document.querySelectorAll('.recent li').length === 2")
    page.click(".recent li >> nth=1 >> button")
    wait_for_pictures(page, "first", 9)
    assert page.input_value("#prompt textarea") == "first"


def test_a_reload_in_the_middle_brings_the_drawing_back(
    held_site: Served, squares: Squares, open_page: OpenPage
) -> None:
    page = open_page(held_site.url)
    draw(page, "a green house")
    page.wait_for_selector(".board-preview[role=img]")
    page.reload()
    page.wait_for_selector(".board-preview[role=img]")
    assert page.input_value("#prompt textarea") == "a green house"
    squares.gate.set()
    wait_for_pictures(page, "a green house", 9)
    page.reload()
    wait_for_pictures(page, "a green house", 9)


def test_other_visitors_see_nothing_of_a_drawing(site: Served, open_page: OpenPage) -> None:
    page = open_page(site.url)
    draw(page, "a private cat")
    wait_for_pictures(page, "a private cat", 9)
    stranger = open_page(site.url)
    assert "a private cat" not in stranger.content()


def test_a_link_fills_the_page_in_and_starts_nothing(
    held_site: Served, squares: Squares, open_page: OpenPage
) -> None:
    page = open_page(
        f"{held_site.url}/?prompt=a+red+cat+%F0%9F%90%88&seed=0&grid=2&model=pocket&temperature=0.5"
    )
    page.wait_for_selector("text=Press Draw to make the pictures.")
    assert page.input_value("#prompt textarea") == "a red cat 🐈"
    assert page.input_value("#seed input") == "0"
    assert page.is_checked(".pin input")
    assert page.input_value("#temperature input") == "0.5"
    assert page.get_attribute(".sides input:checked", "value") == "2"
    assert not squares.ended.acquire(blocking=False)
    assert page.locator("button.stop >> visible=true").count() == 0

    page.click("button.draw >> visible=true")
    squares.gate.set()
    wait_for_pictures(page, "a red cat 🐈", 4)
    assert page.input_value("#seed input") == "0"  # pinned


def test_a_copied_link_names_the_picture_and_the_address_that_the_visitor_sees(
    site: Served, open_page: OpenPage
) -> None:
    page = open_page(site.url)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    draw(page, "a red cat & a dog")
    wait_for_pictures(page, "a red cat & a dog", 9)
    page.click(".actions >> text=Copy link")
    page.wait_for_selector("#toast:has-text('Link copied.')")
    link = urlsplit(page.evaluate("navigator.clipboard.readText()"))
    assert f"{link.scheme}://{link.netloc}" == site.url
    values = parse_qs(link.query)
    assert values["prompt"] == ["a red cat & a dog"]
    assert values["seed"] == [page.input_value("#seed input")]
    assert values["grid"] == ["3"]


def test_one_picture_is_drawn_again_alone_with_a_new_seed(
    site: Served, open_page: OpenPage
) -> None:
    page = open_page(site.url)
    draw(page, "a blue harp")
    wait_for_pictures(page, "a blue harp", 9)
    seed = page.input_value("#seed input")
    page.hover(".board-tiles .cell >> nth=4")
    page.click(".board-tiles .cell >> nth=4 >> [data-pick]")
    wait_for_pictures(page, "a blue harp", 1)
    assert page.input_value("#seed input") != seed


def test_a_style_is_part_of_what_the_model_reads(site: Served, open_page: OpenPage) -> None:
    page = open_page(site.url)
    page.check(".chips input[value=mosaic]", force=True)
    draw(page, "a fox")
    wait_for_pictures(page, "a mosaic of a fox", 9)


def test_a_first_visitor_is_shown_examples_and_a_click_draws_one(
    site: Served, open_page: OpenPage
) -> None:
    page = open_page(site.url)
    assert page.locator(".examples img").count() == 4
    page.click(".examples button >> nth=1")
    chosen = examples()[1].request
    wait_for_pictures(page, chosen.prompt, 9)
    assert page.input_value("#prompt textarea") == chosen.prompt
    assert page.input_value("#seed input") == str(chosen.seed)
    page.wait_for_function("document.querySelectorAll('.recent li').length === 1")


def test_a_screen_reader_is_told_the_end(site: Served, open_page: OpenPage) -> None:
    page = open_page(site.url)
    draw(page, "a blue harp")
    page.wait_for_function(
        "document.querySelector('#announcer').textContent === '9 pictures, done.'"
    )


def test_keyboard_alone_draws_looks_and_leaves(site: Served, open_page: OpenPage) -> None:
    page = open_page(site.url)
    press = page.keyboard.press
    page.focus("#prompt textarea")
    page.keyboard.type("a blue harp")
    press("Shift+Enter")
    page.keyboard.type("in the sea")
    press("Tab")  # Draw
    press("Tab")  # the styles are one stop, the sizes another
    press("Tab")
    press("ArrowLeft")
    assert page.get_attribute(".sides input:checked", "value") == "2"
    press("Shift+Tab")
    press("Shift+Tab")
    press("Enter")
    wait_for_pictures(page, "a blue harp\nin the sea", 4)

    page.focus(".tile >> nth=1")
    press("Enter")
    page.wait_for_selector("#lightbox[open]")
    second = page.get_attribute("#lightbox img", "src")
    press("ArrowRight")
    assert page.get_attribute("#lightbox img", "src") != second
    press("ArrowLeft")
    assert page.get_attribute("#lightbox img", "src") == second
    press("Escape")
    assert page.locator("#lightbox[open]").count() == 0
    assert page.evaluate("document.activeElement.className") == "tile"


def _drawn_share(sheet: str) -> float:
    """Share of a preview's pixels that differ from the page's paper."""
    data = base64.b64decode(sheet.split("base64,")[1].split('"')[0])
    with Image.open(io.BytesIO(data)) as picture:
        distance = np.abs(np.asarray(picture.convert("RGB"), int) - PAPER).sum(axis=2)
        return float((distance > 12).mean())


def _first(page: Page, site: Served) -> bytes:
    source = page.get_attribute(".tile img", "src")
    return page.request.get(f"{site.url}/{source}").body()

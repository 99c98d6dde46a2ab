"""The folds of the local tab, in a real browser: what the model reads, and fetching a model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from browser_fixtures import OpenPage, draw, wait_for_pictures
from loopback_hub import HTML, LoopbackHub, loopback_hub
from published_shapes import write_hollow
from serving import Served, serve

from dalle_app.engines.dalle_mini import fetching
from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, checkpoints
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.engines.dalle_mini.hub import fetch
from dalle_app.settings import Settings


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """mini's files as the hub has them, with hollow weights."""
    return write_hollow("mini", tmp_path_factory.mktemp("hollow"))


@pytest.fixture
def hub(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with loopback_hub("kuprel/min-dalle", files) as hub:
        monkeypatch.setattr(fetching, "fetch", partial(fetch, endpoint=hub.endpoint))
        yield hub


def site_with_mini(pocket: Checkpoint, folder: Path, **more: str) -> Iterator[Served]:
    """The app with the small pocket, and mini's place as it is."""
    settings = Settings(data_dir=folder / "data", models_dir=folder / "models", **more)
    mini = checkpoints(settings.models_dir)["mini"]
    with serve([LocalEngine(settings, {"pocket": pocket, "mini": mini})], settings) as served:
        yield served


@pytest.fixture
def own_site(tiny_pocket: Checkpoint, tmp_path: Path) -> Iterator[Served]:
    yield from site_with_mini(tiny_pocket, tmp_path)


@pytest.fixture
def public_site(tiny_pocket: Checkpoint, tmp_path: Path) -> Iterator[Served]:
    yield from site_with_mini(tiny_pocket, tmp_path, host="0.0.0.0")


@pytest.fixture
def broken_site(tiny_pocket: Checkpoint, tmp_path: Path) -> Iterator[Served]:
    """mini is to be opened with, and web pages are under its names."""
    for path in checkpoints(tmp_path / "models")["mini"].sources():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(HTML)
    yield from site_with_mini(tiny_pocket, tmp_path, model="mini")


def test_what_the_model_reads_follows_the_typing_and_says_what_is_dropped(
    site: Served, open_page: OpenPage
) -> None:
    page = open_page(site.url)
    page.click("button:has-text('What the model reads')")
    page.fill("#prompt textarea", "A RED  Cat 🐱")
    page.wait_for_function(
        "document.querySelector('.reading')?.textContent === 'a red cat cat face'"
    )
    assert page.locator(".problem").count() == 0
    page.fill("#prompt textarea", "a red cat on a green house by the sea with nine dogs")
    page.wait_for_selector("text=It will not be drawn.")


def test_the_owner_fetches_a_model_from_the_page(
    own_site: Served, open_page: OpenPage, hub: LoopbackHub
) -> None:
    page = open_page(own_site.url)
    page.click("button:has-text('Models')")
    page.wait_for_selector("text=1.1 GB, not fetched, takes 2.4 GB of memory")
    page.click("button:text-is('Fetch')")
    page.wait_for_selector("text=mini is ready: choose it above.")
    assert (own_site.settings.models_dir / "dalle_bart_mini" / "encoder.pt").is_file()
    assert page.locator("button:text-is('Fetch')").is_hidden()  # nothing is left to fetch


def test_a_hub_that_fails_is_one_sentence_on_the_page(
    own_site: Served, open_page: OpenPage, hub: LoopbackHub
) -> None:
    hub.status["encoder_mini.pt"] = 404
    page = open_page(own_site.url)
    page.click("button:has-text('Models')")
    page.click("button:text-is('Fetch')")
    page.wait_for_selector("text=has no encoder_mini.pt")
    page.wait_for_selector("button:text-is('Fetch')")  # to be tried again


def test_a_fetch_can_be_stopped_and_leaves_no_half_model(
    own_site: Served, open_page: OpenPage, hub: LoopbackHub
) -> None:
    hub.gate = threading.Event()
    page = open_page(own_site.url)
    page.click("button:has-text('Models')")
    page.click("button:text-is('Fetch')")
    page.wait_for_selector("text=Leave this page open")
    page.click("button:text-is('Stop fetching')")
    page.wait_for_selector("button:text-is('Fetch')")
    assert not (own_site.settings.models_dir / "dalle_bart_mini" / "encoder.pt").exists()


def test_a_visitor_from_afar_is_told_whom_to_ask_and_can_fetch_nothing(
    public_site: Served, open_page: OpenPage
) -> None:
    page = open_page(public_site.url)
    page.set_extra_http_headers({"X-Forwarded-For": "203.0.113.7"})  # as a proxy says it
    page.reload()
    page.click("button:has-text('Models')")
    page.wait_for_selector("text=python -m dalle_app fetch mini")
    assert page.locator("button:text-is('Fetch')").is_hidden()


def test_the_owner_of_an_app_that_listens_to_every_network_fetches_from_the_machine_itself(
    public_site: Served, open_page: OpenPage, hub: LoopbackHub
) -> None:
    page = open_page(public_site.url)
    page.click("button:has-text('Models')")
    page.click("button:text-is('Fetch')")
    page.wait_for_selector("text=mini is ready: choose it above.")
    page.reload()
    page.click("button:has-text('Models')")
    page.wait_for_selector(".models >> text=mini ready")
    assert page.locator("button:text-is('Fetch')").is_hidden()


def test_a_damaged_default_model_leaves_pocket_to_draw_and_is_told_where_it_is_chosen(
    broken_site: Served, open_page: OpenPage
) -> None:
    page = open_page(broken_site.url)
    model = page.get_by_label("Model", exact=True)
    assert model.input_value().startswith("pocket")
    draw(page, "a red cat")
    wait_for_pictures(page, "a red cat", 9)
    model.click()
    page.get_by_role("option", name="mini · damaged, fetch it again").click()
    draw(page, "a blue harp")
    page.wait_for_selector("text=is a web page, not weights")
    page.reload()
    page.wait_for_selector(".recent", state="attached")
    assert model.input_value().startswith("pocket")


def test_a_damaged_model_is_offered_to_be_fetched_and_says_what_to_delete_first(
    broken_site: Served, open_page: OpenPage, hub: LoopbackHub
) -> None:
    page = open_page(broken_site.url)
    page.click("button:has-text('Models')")
    page.click("button:text-is('Fetch')")
    encoder = broken_site.settings.models_dir / "dalle_bart_mini" / "encoder.pt"
    page.get_by_text(f"{encoder} is a web page").wait_for()
    page.wait_for_selector("text=Delete it and fetch it again.")
    assert not hub.calls

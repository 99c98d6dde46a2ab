"""The folds of the local tab, in a real browser: what the model reads, and fetching a model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from browser_fixtures import OpenPage
from loopback_hub import LoopbackHub, loopback_hub
from serving import Served, serve

from dalle_app.engines.dalle_mini import engine as engine_module
from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, checkpoints
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.engines.dalle_mini.hub import fetch
from dalle_app.settings import Settings

NAMES = ["vocab_mini.json", "merges_mini.txt", "encoder_mini.pt", "decoder_mini.pt", "detoker.pt"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with loopback_hub("kuprel/min-dalle", {name: name.encode() for name in NAMES}) as hub:
        monkeypatch.setattr(engine_module, "fetch", partial(fetch, endpoint=hub.endpoint))
        yield hub


def site_with_mini(pocket: Checkpoint, folder: Path, host: str) -> Iterator[Served]:
    """The app with the small pocket, and mini's place empty."""
    settings = Settings(host=host, data_dir=folder / "data", models_dir=folder / "models")
    mini = checkpoints(settings.models_dir)["mini"]
    with serve([LocalEngine(settings, {"pocket": pocket, "mini": mini})], settings) as served:
        yield served


@pytest.fixture
def own_site(tiny_pocket: Checkpoint, tmp_path: Path) -> Iterator[Served]:
    yield from site_with_mini(tiny_pocket, tmp_path, "127.0.0.1")


@pytest.fixture
def public_site(tiny_pocket: Checkpoint, tmp_path: Path) -> Iterator[Served]:
    yield from site_with_mini(tiny_pocket, tmp_path, "0.0.0.0")


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
    page.wait_for_selector("text=1.9 GB, not fetched, takes 2.4 GB of memory")
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
    page.click("button:has-text('Models')")
    page.wait_for_selector("text=python -m dalle_app fetch mini")
    assert page.locator("button:text-is('Fetch')").count() == 0

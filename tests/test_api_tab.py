"""The API tab in a real browser: with this app, with another server, and with a key to keep."""

from __future__ import annotations

import io
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from browser_fixtures import OpenPage, wait_for_pictures
from fake_provider import FakeProvider, fake_provider
from PIL import Image
from playwright.sync_api import Page, Request
from serving import Served

KEY = "sk-canary-5d1f0a"


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with fake_provider() as server:
        yield server


@pytest.fixture
def tab(site: Served, open_page: OpenPage) -> Page:
    """The tab, just opened."""
    page = open_page(site.url)
    page.get_by_role("tab", name="DALL·E 2 (API)").click()
    page.wait_for_selector("#api-model")
    return page


def draw(page: Page, prompt: str) -> None:
    page.fill("#api-prompt textarea", prompt)
    page.press("#api-prompt textarea", "Enter")


def choose(page: Page, widget: str, option: str) -> None:
    page.click(f"{widget} input")
    page.get_by_role("option", name=option, exact=True).click()


def connect(page: Page, base_url: str, key: str = "") -> None:
    """Name another server, and press Connect."""
    page.get_by_test_id("Another server-radio-label").click()
    page.fill("#api-base-url input", base_url)
    page.fill("#api-key input", key)
    page.click("#api-check")


def test_pointed_at_this_app_it_draws_with_no_key_and_no_network(tab):
    tab.get_by_test_id("This app-radio-label").click()
    tab.wait_for_selector("text=Connection: this app · no key needed")
    assert tab.input_value("#api-model input") == "pocket"
    assert not tab.is_visible("#api-size"), "a size that the model does not have"
    draw(tab, "a blue harp")
    wait_for_pictures(tab, "a blue harp", 1)
    assert tab.inner_text(".caption q >> visible=true") == "a blue harp"


def test_a_server_says_what_it_has_and_draws_it_with_the_prompt_as_caption(tab, provider):
    connect(tab, provider.base("ok"), KEY)
    tab.wait_for_selector("text=· key for this visit only")
    choose(tab, "#api-model", "pocket")
    choose(tab, "#api-number", "2")
    draw(tab, "a red cat")
    wait_for_pictures(tab, "a red cat", 2)
    assert "a red cat" in tab.inner_text(".caption >> visible=true")
    assert tab.is_visible("text=This took 205 tokens.")
    asked = [provider.asked.get_nowait() for _ in range(2)]
    assert [path for path, _, _ in asked] == ["/ok/v1/models", "/ok/v1/images/generations"]
    assert asked[1][2]["n"] == 2


def test_a_refused_key_a_retired_model_and_a_missing_key_are_said_in_words(tab, provider):
    draw(tab, "a red cat")
    tab.wait_for_selector(".problem:has-text('OpenAI needs a key')")
    choose(tab, "#api-model", "dall-e-2 · retired on 12 May 2026")
    tab.wait_for_selector(".retirement s:has-text('dall-e-2')")
    assert "try gpt-image-2.6-sunburst" in tab.inner_text(".retirement")
    assert not tab.is_visible("#api-quality")
    connect(tab, "")
    tab.wait_for_selector("#api-told .problem:has-text('must read like https://')")
    connect(tab, provider.base("bad-key"), KEY)
    tab.wait_for_selector("#api-told .problem:has-text('does not accept this key')")


def test_stop_closes_the_stream(tab, provider):
    connect(tab, provider.base("stream"))
    tab.wait_for_selector("text=· no key")
    draw(tab, "a red cat")
    tab.click("button.stop >> visible=true")
    tab.wait_for_selector(".status:has-text('Stopped')")
    assert provider.gone.wait(10)


def test_a_picture_of_the_other_tab_is_painted_on_and_changed(site, open_page, provider):
    tab = open_page(site.url)
    tab.fill("#prompt textarea", "a red cat")
    tab.press("#prompt textarea", "Enter")
    wait_for_pictures(tab, "a red cat", 9)
    tab.dispatch_event(".board-tiles [data-edit] >> nth=0", "click")
    tab.wait_for_selector(".edit-easel >> visible=true")
    connect(tab, provider.base("ok"))
    tab.wait_for_selector("text=· no key")
    tab.locator(".edit-paint").scroll_into_view_if_needed()
    box = tab.locator(".edit-paint").bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + 20, box["y"] + 20)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 20, box["y"] + box["height"] - 20)
    tab.mouse.up()
    draw_from(tab, provider, "a hat on it", "edit")
    path, _, body = provider.asked.get_nowait()
    assert (path, body["prompt"]) == ("/ok/v1/images/edits", "a hat on it")
    alpha = Image.open(io.BytesIO(body["mask"])).getchannel("A")
    assert alpha.size == (256, 256)
    assert (alpha.getpixel((10, 128)), alpha.getpixel((250, 128))) == (0, 255)
    draw_from(tab, provider, "", "variations")
    _, _, body = provider.asked.get_nowait()
    assert body["prompt"].startswith("Make a variation of this picture")
    assert "mask" not in body


def draw_from(page: Page, provider: FakeProvider, prompt: str, act: str) -> None:
    """Press a button of the edit card, and wait for its picture."""
    while not provider.asked.empty():
        provider.asked.get_nowait()
    page.fill("#api-prompt textarea", prompt)
    before = page.locator(".recent li >> visible=true").count()
    page.click(f"[data-edit-go={act}]")
    page.wait_for_function(
        "(n) => [...document.querySelectorAll('.recent li')].filter((li) => li.offsetParent).length"
        " > n",
        arg=before,
    )


def test_a_visitors_key_is_kept_nowhere(tab, provider, site, caplog):
    caplog.set_level("DEBUG")
    begun = time.time()
    finished: list[Request] = []
    tab.on("requestfinished", lambda request: finished.append(request))
    connect(tab, provider.base("ok"), KEY)
    tab.wait_for_selector("text=· key for this visit only")
    draw(tab, "a red cat")
    wait_for_pictures(tab, "a red cat", 1)
    assert KEY in provider.asked.get_nowait()[1]["authorization"], "else this proves nothing"
    # In the browser: storage, cookies, address, markup, and every answer that it was given.
    kept = tab.evaluate("[{...localStorage}, {...sessionStorage}, document.cookie, location.href]")
    assert KEY not in str(kept)
    assert KEY not in str(tab.context.cookies())
    assert tab.evaluate("indexedDB.databases()") == []
    assert KEY not in tab.content()
    sent = [request for request in finished if KEY in (request.post_data or "")]
    assert sent, "the key travels with the request for the drawing"
    answers = b"".join(response.body() for r in finished if (response := r.response()))
    assert answers, "else this proves nothing"
    assert KEY.encode() not in answers
    # On the server: the log, the files, and Gradio's own doors.
    assert KEY not in caplog.text
    for folder in (site.settings.data_dir, Path(tempfile.gettempdir()) / "gradio"):
        for path in folder.rglob("*"):
            if path.is_file() and path.stat().st_mtime >= begun - 1:
                assert KEY.encode() not in path.read_bytes(), path
    session = json.loads(sent[0].post_data or "{}")["session_hash"]
    deep_link = httpx.get(f"{site.url}/gradio_api/deep_link?session_hash={session}")
    assert deep_link.status_code == 404
    assert KEY not in httpx.get(f"{site.url}/config").text
    # Pictures and links carry a recipe, and no key.
    picture = tab.get_attribute(".board-tiles img >> visible=true", "src")
    assert KEY.encode() not in httpx.get(f"{site.url}/{picture}").content
    assert KEY not in (tab.get_attribute("[data-copy] >> visible=true", "data-copy") or KEY)

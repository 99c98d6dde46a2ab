"""The page's events over HTTP, as Gradio's own client sends them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gradio_client import Client
from serving import Served

from dalle_app.request import MAX_SEED

BLANK: dict[str, Any] = {
    "prompt": "a blue harp",
    "style": "",
    "side": 1,
    "seed": "",
    "pinned": False,
    "model": "pocket",
    "temperature": "",
    "top_k": "",
    "guidance": "",
    "negative_prompt": "",
}
NAMES = [*BLANK, "problem", "status", "grid", "recent"]  # the client leaves buttons out


@pytest.fixture(scope="module")
def client(site: Served) -> Iterator[Client]:
    """A visitor: Gradio's client keeps no cookies, so its session tells who it is."""
    opened = Client(site.url, verbose=False)
    yield opened
    opened.close()


def asked(client: Client, **widgets: Any) -> dict[str, str]:
    """Press Draw with these widgets; what the page's parts say then, by name."""
    return _named(client.predict(*(BLANK | widgets).values(), api_name="/draw"))


def test_a_prompt_becomes_pictures_over_http(client: Client, site: Served) -> None:
    drawn = asked(client, side=2, seed="42")
    assert drawn["problem"] == ""
    assert drawn["seed"] == "42"
    shown = [str(values) for values in client.submit(api_name="/watch")]
    addresses = re.findall(r'img src="(pictures/[0-9a-f]{32}/\d\.png)"', "".join(shown))
    assert len(set(addresses)) == 4
    picture = httpx.get(f"{site.url}/{addresses[0]}")
    assert picture.status_code == 200
    assert picture.headers["content-type"] == "image/png"


@pytest.mark.parametrize("seed", ["0", str(MAX_SEED), " 7 "])
def test_a_typed_seed_is_the_seed_that_is_used(client: Client, seed: str) -> None:
    client.reset_session()
    assert asked(client, seed=seed)["seed"] == seed.strip()


def test_a_seed_that_the_page_put_there_is_not_used_again_unless_pinned(client: Client) -> None:
    client.reset_session()
    first = asked(client)["seed"]
    second = asked(client, seed=first)["seed"]
    assert second != first
    assert asked(client, seed=second, pinned=True)["seed"] == second


@pytest.mark.parametrize(
    ("widgets", "sentence"),
    [
        ({"prompt": " \n "}, "The prompt is empty."),
        ({"prompt": "x" * 100_000}, "100,000 characters long; 4,000 is the most"),
        ({"seed": "-1"}, "The seed must be between 0 and"),
        ({"seed": "1.5"}, "The seed must be a whole number"),
        ({"seed": str(2**60)}, "The seed must be between 0 and"),
        ({"seed": "abc"}, "The seed must be a whole number"),
        ({"temperature": "0"}, "The temperature must be between 0.01 and 10"),
        ({"temperature": "nan"}, "The temperature must be between"),
        ({"top_k": "0"}, "Top-k must be between 1 and"),
        ({"top_k": "20000"}, "Top-k must be between 1 and"),
        ({"guidance": "much"}, "The guidance must be a number"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_a_sentence(
    client: Client, widgets: dict[str, str], sentence: str
) -> None:
    problem = asked(client, **widgets)["problem"]
    assert sentence in problem
    assert "Traceback" not in problem


@pytest.mark.parametrize("widgets", [{"side": 0}, {"side": 10}, {"side": "three"}])
def test_a_grid_that_the_page_does_not_offer_is_refused(
    client: Client, widgets: dict[str, Any]
) -> None:
    with pytest.raises(Exception, match="not in the list of choices"):
        asked(client, **widgets)


def test_the_api_tab_has_no_public_event_because_a_key_is_among_its_inputs(site: Served) -> None:
    config = httpx.get(f"{site.url}/config").json()
    public = [
        dependency["api_name"]
        for dependency in config["dependencies"]
        if dependency["api_visibility"] == "public" and dependency["backend_fn"]
    ]
    assert set(public) == {"draw", "watch"}


def test_only_what_goes_on_is_queued_because_gradio_may_lose_what_is_queued(site: Served) -> None:
    config = httpx.get(f"{site.url}/config").json()
    backed = [dependency for dependency in config["dependencies"] if dependency["backend_fn"]]
    assert len(backed) > 10
    for dependency in backed:
        assert dependency["queue"] == dependency["types"]["generator"], dependency["api_name"]


def _named(values: tuple[Any, ...]) -> dict[str, str]:
    texts = [value.get("value", "") if isinstance(value, dict) else value for value in values]
    return dict(zip(NAMES, (text or "" for text in texts), strict=True))

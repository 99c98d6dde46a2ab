"""Two copies of this app and one wire: our client of the Images API speaks to our server of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from api_server import serve_api
from serving import Served
from squares import Squares

from dalle_app.access import Access, hash_of_key
from dalle_app.engines.dalle_mini.checkpoint import Checkpoint
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.engines.openai_images import OpenAIImages
from dalle_app.errors import DalleError
from dalle_app.request import ImageRequest
from dalle_app.settings import Settings

SETTINGS = Settings(openai_model="pocket")


def test_a_picture_from_another_copy_is_the_one_drawn_here(
    site: Served, tiny_pocket: Checkpoint
) -> None:
    request = ImageRequest("a red cat", seed=7, count=2, negative_prompt="blue", temperature=0.7)
    with closing(OpenAIImages(SETTINGS, base_url=f"{site.url}/v1", api_key="")) as there:
        *_, far = there.generate(request)
    with closing(LocalEngine(Settings(), {"pocket": tiny_pocket})) as here:
        *_, near = here.generate(request)
    assert [image.picture.tobytes() for image in far.images] == [
        image.picture.tobytes() for image in near.images
    ]


def test_closing_our_client_stops_the_server(tmp_path: Path) -> None:
    engine = Squares()
    engine.gate.clear()
    with serve_api(engine, tmp_path) as url:
        client = OpenAIImages(SETTINGS, base_url=f"{url}/v1", api_key="")
        with closing(client.generate(ImageRequest("a cat", count=1))) as snapshots:
            assert next(snapshots).step == 0
        engine.gate.set()
        *_, last = client.generate(ImageRequest("a cat", count=1))
    assert last.images


def test_a_server_with_keys_says_that_it_wants_one(tmp_path: Path) -> None:
    rule = Access("keys", {"alice": hash_of_key("cb-key")})
    with serve_api(Squares(), tmp_path, rule) as url:
        for key in ("", "cb-wrong"):
            client = OpenAIImages(SETTINGS, base_url=f"{url}/v1", api_key=key)
            with pytest.raises(DalleError, match="key"):
                list(client.generate(ImageRequest("a cat", count=1)))
        client = OpenAIImages(SETTINGS, base_url=f"{url}/v1", api_key="cb-key")
        *_, last = client.generate(ImageRequest("a cat", count=1))
    assert last.images

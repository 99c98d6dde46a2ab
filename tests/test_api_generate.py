"""Pictures from `/v1`, asked for with OpenAI's own client of the whole app with a local model."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from api_server import client_of
from openai.types import Image as Answered
from PIL import Image
from serving import Served

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.recipe import Recipe, recipe_from_png
from dalle_app.request import ImageRequest
from dalle_app.settings import Settings


@pytest.fixture(scope="module")
def address(site: Served) -> str:
    return site.url


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[openai.OpenAI]:
    with client_of(address) as client:
        yield client


def png_of(picture: Answered) -> bytes:
    assert picture.b64_json is not None
    return base64.b64decode(picture.b64_json, validate=True)


def test_the_models_that_can_draw_are_listed(client: openai.OpenAI) -> None:
    models = client.models.list().data
    assert [(model.id, model.owned_by) for model in models] == [("pocket", "crayonbox")]
    assert client.models.retrieve("pocket") == models[0]


def test_a_prompt_alone_gives_one_png_of_the_models_own_size(client: openai.OpenAI) -> None:
    answer = client.images.generate(prompt="a blue harp")
    assert answer.data is not None
    assert len(answer.data) == 1
    with Image.open(io.BytesIO(png_of(answer.data[0]))) as picture:
        assert (picture.format, picture.size) == ("PNG", (256, 256))
    assert (answer.size, answer.output_format, answer.background) == ("256x256", "png", "opaque")
    assert abs(answer.created - time.time()) < 60


def test_every_picture_says_how_to_make_it_again(client: openai.OpenAI) -> None:
    fields = {"seed": 5, "negative_prompt": "red", "temperature": 0.5, "top_k": 9, "guidance": 3}
    answer = client.images.generate(prompt="a blue harp", n=3, extra_body=fields)
    assert answer.data is not None
    for index, picture in enumerate(answer.data):
        said = picture.to_dict()
        recipe = Recipe.from_json(json.dumps(said["recipe"]))
        assert recipe == recipe_from_png(io.BytesIO(png_of(picture)))
        assert recipe.request == ImageRequest("a blue harp", count=3, **fields)  # type: ignore[arg-type]
        assert (said["index"], said["seed"], recipe.index) == (index, 5, index)


def test_the_api_draws_what_the_engine_draws(
    client: openai.OpenAI, tiny_pocket: Checkpoint
) -> None:
    with closing(LocalEngine(Settings(), {"pocket": tiny_pocket})) as engine:
        *_, last = engine.generate(ImageRequest("a red cat", seed=7, count=2))
    answer = client.images.generate(prompt="a red cat", n=2, extra_body={"seed": 7})
    assert answer.data is not None
    for drawn, picture in zip(last.images, answer.data, strict=True):
        with Image.open(io.BytesIO(png_of(picture))) as answered:
            assert answered.convert("RGB").tobytes() == drawn.picture.tobytes()


@pytest.mark.parametrize("size", ["512x512", "1024x1024"])
def test_a_size_that_is_not_the_models_own_is_resampled_and_said(
    client: openai.OpenAI, size: str
) -> None:
    answer = client.images.generate(prompt="a blue harp", size=size)
    assert answer.data is not None
    with Image.open(io.BytesIO(png_of(answer.data[0]))) as picture:
        assert "{}x{}".format(*picture.size) == answer.size == size
    assert answer.data[0].to_dict()["recipe"]["resampled"] == size  # type: ignore[index]


@pytest.mark.parametrize("size", ["auto", "256x256"])
def test_the_models_own_size_is_not_resampled(client: openai.OpenAI, size: str) -> None:
    answer = client.images.generate(prompt="a blue harp", size=size)
    assert answer.data is not None
    assert answer.size == "256x256"
    assert answer.data[0].to_dict()["recipe"]["resampled"] == ""  # type: ignore[index]


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_lossy_format_is_smaller_the_more_it_is_compressed(
    client: openai.OpenAI, kind: str
) -> None:
    sizes = []
    for quality in (10, 90):
        answer = client.images.generate(
            prompt="a blue harp",
            output_format=kind,  # type: ignore[arg-type]
            output_compression=quality,
            extra_body={"seed": 1},
        )
        assert answer.data is not None
        encoded = png_of(answer.data[0])
        with Image.open(io.BytesIO(encoded)) as picture:
            assert str(picture.format).lower() == answer.output_format == kind
        sizes.append(len(encoded))
    assert sizes[0] < sizes[1] / 2


def test_an_address_gives_the_picture_for_an_hour(client: openai.OpenAI, site: Served) -> None:
    answer = client.images.generate(prompt="a blue harp", n=2, response_format="url")
    assert answer.data is not None
    urls = [picture.url or "" for picture in answer.data]
    assert all(picture.b64_json is None for picture in answer.data)
    assert len({*urls}) == 2
    found = httpx.get(urls[1])
    assert found.headers["content-type"] == "image/png"
    assert recipe_from_png(io.BytesIO(found.content)).index == 1
    file = site.settings.data_dir / "links" / urls[1].rpartition("/")[2]
    hour_ago = time.time() - 3601
    os.utime(file, (hour_ago, hour_ago))
    assert httpx.get(urls[1]).status_code == 404
    client.images.generate(prompt="a blue harp", response_format="url")
    assert not file.exists()


def test_tokens_are_counted(client: openai.OpenAI) -> None:
    one = client.images.generate(prompt="a blue harp").usage
    two = client.images.generate(prompt="a blue harp and a red cat", n=2).usage
    assert one is not None
    assert two is not None
    assert (one.output_tokens, two.output_tokens) == (64, 128)
    assert 0 < one.input_tokens < two.input_tokens
    assert two.total_tokens == two.input_tokens + two.output_tokens


def test_fields_that_nobody_here_knows_are_ignored(client: openai.OpenAI) -> None:
    answer = client.images.generate(
        prompt="a blue harp",
        quality="high",
        style="vivid",
        moderation="low",
        user="somebody",
        extra_body={"steps": [1, 2], "n_iter": None},
    )
    assert answer.data


def test_null_means_the_default(client: openai.OpenAI) -> None:
    names = ["n", "size", "response_format", "output_format", "output_compression", "stream"]
    names += ["background", "partial_images", "user", "seed", "negative_prompt", "temperature"]
    nothing = dict.fromkeys([*names, "top_k", "guidance", "model"])
    assert client.images.generate(prompt="a blue harp", extra_body=nothing).data


def test_a_negative_prompt_makes_other_pictures(client: openai.OpenAI) -> None:
    def drawn(negative: str) -> bytes:
        body = {"seed": 3, "negative_prompt": negative}
        answer = client.images.generate(prompt="a blue harp", extra_body=body)
        assert answer.data is not None
        with Image.open(io.BytesIO(png_of(answer.data[0]))) as picture:
            return picture.tobytes()

    assert drawn("") == drawn("")
    assert drawn("") != drawn("a house")


def test_requests_made_together_are_all_answered(address: str) -> None:
    async def together() -> list[int]:
        async with openai.AsyncOpenAI(
            base_url=f"{address}/v1", api_key="none is needed", max_retries=0
        ) as client:
            answers = await asyncio.gather(
                *(client.images.generate(prompt="a cat", extra_body={"seed": k}) for k in range(4))
            )
        return [answer.data[0].to_dict()["seed"] for answer in answers if answer.data]  # type: ignore[misc]

    assert asyncio.run(together()) == [0, 1, 2, 3]


def test_the_document_is_of_v1_alone(address: str) -> None:
    document = httpx.get(f"{address}/v1/openapi.json").json()
    assert document["servers"] == [{"url": "/v1"}]
    assert {*document["paths"]} == {
        "/models",
        "/models/{name}",
        "/images/generations",
        "/images/edits",
    }


def test_the_readmes_example_draws(address: str) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (example,) = [
        block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "/v1" in block
    ]
    said: dict[str, Any] = {}
    exec(example.replace("http://127.0.0.1:7860", address), said)
    said["client"].close()
    pictures = [base64.b64decode(picture) for picture in said["pictures"]]
    recipes = [recipe_from_png(io.BytesIO(picture)) for picture in pictures]
    assert [(recipe.index, recipe.request.seed) for recipe in recipes] == [(k, 6) for k in range(4)]

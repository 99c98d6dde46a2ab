"""A recipe survives every way it travels, and hostile ones are refused in a sentence."""

import io
import json
import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from dalle_app.errors import DalleError, InvalidRecipe, InvalidRequest
from dalle_app.recipe import (
    MAX_JSON,
    PNG_KEY,
    Recipe,
    link_from_request,
    recipe_from_png,
    request_from_link,
    save_png,
)
from dalle_app.request import MAX_SEED, MAX_TOP_K, GeneratedImage, ImageRequest

texts = st.text(max_size=60)
words = texts.filter(
    lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()
)


@st.composite
def requests(draw, settled=False):
    seed = st.integers(0, MAX_SEED)
    return ImageRequest(
        prompt=draw(words),
        seed=draw(seed if settled else st.none() | seed),
        count=draw(st.integers(1, 36)),
        model=draw(words),
        negative_prompt=draw(texts),
        temperature=draw(st.none() | st.floats(0.01, 10)),
        top_k=draw(st.none() | st.integers(1, MAX_TOP_K)),
        guidance=draw(st.none() | st.floats(0, 100)),
        size=draw(st.sampled_from(["", "auto", "1024x1536"])),
    )


@st.composite
def recipes(draw):
    request = draw(requests(settled=True))
    names = st.text(max_size=20)
    return Recipe(
        request,
        index=draw(st.integers(0, request.count - 1)),
        engine=draw(names),
        weights=draw(st.from_regex(r"[0-9a-f]{16}|", fullmatch=True)),
        precision=draw(names),
        device=draw(names),
        resampled=draw(st.sampled_from(["", "512x512"])),
        versions=draw(st.dictionaries(names, names, max_size=4)),
    )


@given(recipes())
def test_a_recipe_comes_back_from_json_as_it_was(recipe):
    text = recipe.to_json()
    assert text.isascii()
    assert "\n" not in text
    assert Recipe.from_json(text) == recipe


@given(requests())
def test_a_request_comes_back_from_its_link_as_it_was(request):
    link = link_from_request(request, "https://example.org/space/")
    assert link.startswith("https://example.org/space/?prompt=")
    assert link.isascii()
    assert request_from_link(link.partition("?")[2]) == request


@given(recipes())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_a_recipe_comes_back_from_a_png_as_it_was(recipe):
    buffer = io.BytesIO()
    save_png(GeneratedImage(Image.new("RGB", (2, 2), "red"), recipe), buffer)
    buffer.seek(0)
    assert recipe_from_png(buffer) == recipe


def test_a_link_says_only_what_differs_from_the_default():
    request = ImageRequest("a blue harp", seed=6)
    assert link_from_request(request) == "/?prompt=a+blue+harp&seed=6&grid=3&model=pocket"
    assert link_from_request(ImageRequest("x", seed=0, count=5)).endswith("&count=5&model=pocket")


@pytest.mark.parametrize(
    "query",
    ["", "prompt=", "prompt=a+cat&seed=-1", "prompt=a+cat&grid=99", "prompt=a+cat&temperature=nan",
     "prompt=" + "x" * 100_000, "prompt=a&top_k=20000"],
)  # fmt: skip
def test_a_hostile_link_is_refused_in_a_sentence(query):
    with pytest.raises(InvalidRequest):
        request_from_link(query)


GOOD = json.loads(Recipe(ImageRequest("a cat", seed=1), 0, "squares").to_json())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "null",
        "1" * 6000,
        "[" * 60_000,
        '{"format": 1, "prompt": ' + "[" * 900 + "]" * 900 + "}",
        " " * (MAX_JSON + 1),
        json.dumps({**GOOD, "format": 2}),
        json.dumps({**GOOD, "format": None}),
        json.dumps({**GOOD, "prompt": 7}),
        json.dumps({**GOOD, "prompt": {"a": "cat"}}),
        json.dumps({**GOOD, "seed": None}),
        json.dumps({**GOOD, "seed": 2**60}),
        json.dumps({**GOOD, "seed": [1]}),
        json.dumps({**GOOD, "count": 10**9}),
        json.dumps({**GOOD, "temperature": float("nan")}),
        json.dumps({**GOOD, "temperature": float("inf")}),
        json.dumps({**GOOD, "index": 9}),
        json.dumps({**GOOD, "index": "0"}),
        json.dumps({**GOOD, "index": True}),
        json.dumps({**GOOD, "versions": ["torch"]}),
        json.dumps({**GOOD, "versions": {"torch": 2}}),
        json.dumps({**GOOD, "versions": {str(k): "1" for k in range(99)}}),
        json.dumps({**GOOD, "engine": {"deep": []}}),
        json.dumps({**GOOD, "weights": "f" * 300}),
    ],
)
def test_a_hostile_recipe_is_refused_in_a_sentence(text):
    with pytest.raises(InvalidRecipe) as caught:
        Recipe.from_json(text)
    assert len(str(caught.value)) < 240


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner)),
       st.sampled_from(sorted(GOOD)))  # fmt: skip
def test_any_value_in_any_field_is_read_or_refused_and_never_a_crash(value, name):
    with suppress(DalleError):
        Recipe.from_json(json.dumps({**GOOD, name: value}))


def png(text: str = "", size: tuple[int, int] = (8, 8)) -> bytes:
    buffer = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    if text:
        info.add_text(PNG_KEY, text)
    Image.new("RGB", size, "red").save(buffer, format="PNG", pnginfo=info)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG that says it has 60,000 × 60,000 pixels, in a few dozen bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not a whole PNG"),
        (b"GIF89a" + b"\0" * 40, "not a whole PNG"),
        (png()[:20], "not a whole PNG"),
        (png()[:40], "carries no recipe|not a whole PNG"),
        (png(), "carries no recipe"),
        (png("{"), "not JSON"),
        (png("x" * 2_000_000), "too long|not a whole PNG"),
        (bomb(), "not a whole PNG|carries no recipe"),
    ],
)
def test_a_png_without_a_recipe_we_can_read_is_refused_in_a_sentence(data, why):
    with pytest.raises(InvalidRecipe, match=why):
        recipe_from_png(io.BytesIO(data))

"""Edits: what a browser sends becomes what the Images API takes, and nothing worse gets through."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import pytest
from fake_provider import FakeProvider, bomb, fake_provider, picture
from PIL import Image

from dalle_app.engines.edit import VARIATIONS, Edit, edit_from_texts
from dalle_app.engines.openai_images import OpenAIImages
from dalle_app.errors import InvalidRequest
from dalle_app.request import ImageRequest, Snapshot
from dalle_app.settings import Settings


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with fake_provider() as server:
        yield server


def png(colour: str = "teal", mode: str = "RGB") -> str:
    return base64.b64encode(picture(colour, mode=mode)).decode()


def left_half() -> str:
    """A mask as the page paints it, on the left half."""
    painted = Image.new("RGBA", (16, 16))
    painted.paste((255, 0, 0, 255), (0, 0, 8, 16))
    buffer = io.BytesIO()
    painted.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def change(base_url: str, edit: Edit, prompt: str, model: str) -> Snapshot:
    api = OpenAIImages(Settings(), base_url=base_url, api_key="sk-canary-1", edit=edit)
    *_, last = api.generate(ImageRequest(prompt, model=model, count=1))
    return last


def test_an_edit_sends_pictures_and_a_mask_transparent_where_it_was_painted(provider):
    provider.go.set()
    edit = edit_from_texts([png(), png("gold")], left_half())
    last = change(provider.base("stream"), edit, "a hat on it", "gpt-image-2")
    assert last.images[0].picture.getpixel((0, 0)) == (0, 128, 128)
    path, headers, body = provider.asked.get_nowait()
    assert path == "/stream/v1/images/edits"
    assert headers["authorization"] == "Bearer sk-canary-1"
    assert (body["prompt"], body["stream"], body["n"]) == ("a hat on it", "true", "1")
    sent = [Image.open(io.BytesIO(data)) for data in body["image[]"]]
    assert [image.convert("RGB").getpixel((0, 0)) for image in sent] == [
        (0, 128, 128),
        (255, 215, 0),
    ]
    alpha = Image.open(io.BytesIO(body["mask"])).getchannel("A")
    assert (alpha.getpixel((0, 0)), alpha.getpixel((15, 0))) == (0, 255)


def test_one_picture_without_paint_is_sent_alone_and_whole(provider):
    edit = edit_from_texts([png()], png("#00000000", mode="RGBA"))
    change(provider.base("ok"), edit, VARIATIONS, "dall-e-2")
    _, _, body = provider.asked.get_nowait()
    assert isinstance(body["image"], bytes)
    assert "mask" not in body


def test_a_mask_of_another_size_is_brought_to_the_pictures():
    large = Image.new("RGB", (40, 20), "teal")
    buffer = io.BytesIO()
    large.save(buffer, "PNG")
    edit = edit_from_texts([base64.b64encode(buffer.getvalue()).decode()], left_half())
    assert edit.mask is not None
    assert edit.mask.size == (40, 20)
    assert edit.mask.getbbox() == (0, 0, 20, 20)


@pytest.mark.parametrize(
    ("pictures", "mask", "says"),
    [
        ([], "", "no picture"),
        (["@@"], "", "cannot be opened"),
        ([7], "", "cannot be opened"),
        ([base64.b64encode(bomb()).decode()], "", "cannot be opened"),
        (["x"] * 17, "", "too many"),
        ([png()], {"a": 1}, "cannot be opened"),
    ],
)
def test_what_cannot_be_edited_is_refused_in_words(pictures, mask, says):
    with pytest.raises(InvalidRequest, match=says):
        edit_from_texts(pictures, mask)


@pytest.mark.parametrize(
    ("model", "says"), [("dall-e-3", "cannot change"), ("dall-e-2", "one picture")]
)
def test_a_model_gets_no_more_pictures_than_it_takes(provider, model, says):
    with pytest.raises(InvalidRequest, match=says):
        change(provider.base("ok"), edit_from_texts([png(), png()], ""), "x", model)
    assert provider.asked.empty()

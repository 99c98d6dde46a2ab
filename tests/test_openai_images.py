"""The API engine against a real server that behaves well and badly, over a real connection."""

from __future__ import annotations

import io
import logging
import traceback
from collections.abc import Iterator
from contextlib import closing
from datetime import date

import pytest
from fake_provider import STATUSES, FakeProvider, fake_provider

from dalle_app.engines import build_api_engine
from dalle_app.engines.openai_images import OpenAIImages
from dalle_app.engines.provider_errors import CUT_OFF, NO_PICTURE, REFUSED, WEB_PAGE
from dalle_app.engines.remote_pictures import MAX_BYTES, _public
from dalle_app.errors import InvalidRequest, ProviderError
from dalle_app.image_models import image_model, image_models
from dalle_app.recipe import recipe_from_png, save_png
from dalle_app.request import ImageRequest, Snapshot
from dalle_app.settings import Settings

KEY = "sk-canary-1"


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with fake_provider() as server:
        yield server


def engine(provider: FakeProvider, behaviour: str, **options: str) -> OpenAIImages:
    base = provider.base(behaviour)
    return OpenAIImages(Settings(), base_url=base, api_key=f" {KEY}\n", options=options)


def draw(provider: FakeProvider, behaviour: str, **fields: object) -> list[Snapshot]:
    request = ImageRequest(**{"prompt": "a blue harp", "model": "some-model", "count": 1, **fields})
    return list(engine(provider, behaviour).generate(request))


def test_pictures_come_in_order_with_their_recipes(provider):
    *_, last = draw(provider, "ok", count=3, seed=6)
    assert last.final
    assert last.notes == ("This took 205 tokens.",)
    assert [image.picture.getpixel((0, 0)) for image in last.images] == [
        (0, 128, 128), (255, 165, 0), (255, 215, 0),
    ]  # fmt: skip
    buffer = io.BytesIO()
    save_png(last.images[2], buffer)
    recipe = recipe_from_png(buffer)
    assert (recipe.engine, recipe.index, recipe.request.seed) == ("openai_images", 2, 6)
    assert KEY not in buffer.getvalue().decode("latin-1")


def test_the_owners_headers_do_not_travel_with_a_visitors_key(provider, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-owner")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-owner")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-owner")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Owner: yes\nAuthorization: Bearer sk-owner")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    draw(provider, "ok")
    _, headers, _ = provider.asked.get_nowait()
    assert headers["authorization"] == f"Bearer {KEY}"
    assert "owner" not in " ".join(headers.values())
    assert not {"openai-organization", "openai-project", "x-owner"} & headers.keys()


def test_a_model_gets_the_fields_that_it_allows_and_no_others(provider):
    draw(provider, "ok", model="gpt-image-2", seed=6, size="1024x1536", count=2)
    draw(provider, "ok", model="dall-e-2", seed=6)
    draw(provider, "ok", model="local", seed=6, negative_prompt="fog", top_k=64, guidance=2.0)
    gpt, dalle, local = (provider.asked.get_nowait()[2] for _ in range(3))
    harp = {"prompt": "a blue harp"}
    streamed = {"stream": True, "partial_images": 3}
    assert gpt == {**harp, "model": "gpt-image-2", "n": 2, "size": "1024x1536", **streamed}
    assert dalle == {**harp, "model": "dall-e-2", "n": 1, "response_format": "b64_json"}
    extras = {"seed": 6, "negative_prompt": "fog", "top_k": 64, "guidance": 2.0}
    base = {**harp, "model": "local", "n": 1, "response_format": "b64_json"}
    assert local == {**base, **extras}


def test_options_go_along(provider):
    api = engine(provider, "ok", quality="low", background="opaque")
    list(api.generate(ImageRequest("x", model="gpt-image-2", count=2)))
    body = provider.asked.get_nowait()[2]
    assert (body["quality"], body["background"]) == ("low", "opaque")


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("bad-key", "does not accept this key"),
        ("forbidden", "may not use some-model: “Your organization must be verified”"),
        ("no-model", "has no model some-model"),
        ("no-route", "no Images API at 127.0.0.1"),
        ("unsafe", "safety rules"),
        ("old-unsafe", "safety rules"),
        ("bad-field", "Invalid value: 'huge' for size"),
        ("too-large", "Shorten the prompt"),
        ("busy", "Try again in 7 s"),
        ("no-credit", "no credit left"),
        ("down", "status 503"),
        ("moved", "another address"),
        ("html", WEB_PAGE),
        ("empty", NO_PICTURE),
        ("nothing", NO_PICTURE),
        ("odd", NO_PICTURE),
        ("neither", NO_PICTURE),
        ("bad64", "not base64"),
        ("text64", "not a whole picture"),
        ("torn", "not a whole picture"),
        ("bomb", "too large"),
        ("cut", CUT_OFF),
    ],
)
def test_every_failure_is_one_plain_sentence_after_one_call(provider, behaviour, says):
    with pytest.raises(ProviderError) as caught:
        draw(provider, behaviour)
    text = str(caught.value)
    assert says in text
    assert text.endswith(".")
    assert KEY not in "".join(traceback.format_exception(caught.value))
    provider.asked.get_nowait()
    assert provider.asked.empty(), "a call that may have been billed was repeated"


def test_every_status_of_the_fake_is_tested():
    marks = test_every_failure_is_one_plain_sentence_after_one_call.pytestmark
    assert STATUSES.keys() <= {case[0] for case in marks[0].args[1]}


def test_a_retired_model_is_named_with_its_day_and_its_successor(provider):
    with pytest.raises(ProviderError, match=r"off on 12 May 2026: try gpt-image-2\.6-sunburst"):
        draw(provider, "no-model", model="dall-e-2")


def test_a_server_that_is_not_there_is_said_to_be_so():
    nowhere = OpenAIImages(Settings(), base_url="http://127.0.0.1:9/v1", api_key="")
    with pytest.raises(ProviderError, match=r"127\.0\.0\.1:9 could not be reached"):
        list(nowhere.generate(ImageRequest("x", model="m", count=1)))


def test_partial_pictures_are_shown_as_they_come(provider):
    request = ImageRequest("a blue harp", model="gpt-image-2", count=1)
    colours, steps = [], []
    with closing(engine(provider, "stream").generate(request)) as snapshots:
        provider.go.set()
        for snapshot in snapshots:
            steps.append(snapshot.step)
            colours += [image.picture.getpixel((0, 0)) for image in snapshot.images]
    assert list(dict.fromkeys(colours)) == [
        (255, 0, 0), (255, 165, 0), (255, 215, 0), (0, 128, 128),
    ]  # fmt: skip
    assert steps == sorted(steps)
    assert (snapshot.step, snapshot.of) == (4, 4)


def test_a_server_that_does_not_stream_is_understood_all_the_same(provider):
    *_, last = draw(provider, "one", model="gpt-image-2")
    assert last.final
    assert len(last.images) == 1


def test_every_picture_of_a_streamed_grid_is_shown_as_it_completes(provider):
    provider.go.set()
    shown = draw(provider, "stream", model="gpt-image-2", count=2)
    seen = dict.fromkeys(tuple(image.picture.getpixel((0, 0)) for image in s.images) for s in shown)
    red, orange, gold, teal = (255, 0, 0), (255, 165, 0), (255, 215, 0), (0, 128, 128)
    assert [colours for colours in seen if colours] == [
        (red,), (orange,), (gold,), (teal,),
        (teal, red), (teal, orange), (teal, gold), (teal, teal),
    ]  # fmt: skip
    assert [s.final for s in shown].count(True) == 1
    assert shown[-1].notes == ("This took 410 tokens.",)  # of both


def test_pictures_that_say_their_place_in_the_grid_stand_there(provider):
    shown = draw(provider, "indexed", model="gpt-image-2", count=3)
    assert [image.picture.getpixel((0, 0)) for image in shown[-1].images] == [
        (0, 128, 128), (255, 165, 0), (255, 215, 0),
    ]  # fmt: skip
    assert [image.recipe.index for image in shown[-1].images] == [0, 1, 2]


def test_a_stream_with_fewer_pictures_keeps_those_with_a_note(provider):
    *_, last = draw(provider, "few", model="gpt-image-2", count=3)
    assert last.final
    assert len(last.images) == 1
    assert last.notes[0] == "The server drew 1 of 3 pictures."


def test_a_server_that_refuses_to_stream_is_asked_for_whole_pictures(provider):
    *_, last = draw(provider, "whole-only", model="gpt-image-2", count=2)
    assert len(last.images) == 2
    assert provider.asked.get_nowait()[2]["stream"]
    assert "stream" not in provider.asked.get_nowait()[2]


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [("stream-cut", CUT_OFF), ("stream-ends", CUT_OFF), ("stream-unsafe", REFUSED),
     ("html", WEB_PAGE)],
)  # fmt: skip
def test_a_stream_that_breaks_off_says_what_may_have_happened(provider, behaviour, says):
    with pytest.raises(ProviderError) as caught:
        draw(provider, behaviour, model="gpt-image-2")
    assert str(caught.value) == says


@pytest.mark.parametrize(("behaviour", "count"), [("slow", 2), ("stream", 1)])
def test_closing_closes_the_connection_while_the_server_is_silent(provider, behaviour, count):
    request = ImageRequest("a blue harp", model="gpt-image-2", count=count)
    snapshots = engine(provider, behaviour).generate(request)
    assert not next(snapshots).final  # it yields although the server has said nothing
    snapshots.close()
    assert provider.gone.wait(10)


def test_fewer_pictures_than_asked_for_are_kept_with_a_note_and_more_are_cut(provider):
    *_, few = draw(provider, "one", count=4)
    assert few.final
    assert few.notes == ("The server drew 1 of 4 pictures.",)
    *_, many = draw(provider, "many", count=4)
    assert len(many.images) == 4


def test_more_pictures_than_a_model_draws_are_refused_before_the_call(provider):
    with pytest.raises(InvalidRequest, match="one picture at a time"):
        draw(provider, "ok", model="dall-e-3", count=2)
    with pytest.raises(InvalidRequest, match="10 pictures at a time"):
        draw(provider, "ok", count=16)
    assert provider.asked.empty()


def test_transparent_pictures_stand_on_white_unless_they_were_asked_for(provider):
    *_, last = draw(provider, "webp")
    assert last.images[0].picture.getpixel((0, 0)) == (255, 255, 255)
    api = engine(provider, "webp", background="transparent")
    *_, last = api.generate(ImageRequest("a blue harp", model="some-model", count=1))
    assert last.images[0].picture.getpixel((0, 0))[3] == 0


def test_a_picture_may_come_as_an_address_on_the_servers_own_network(provider):
    *_, last = draw(provider, "address", prompt="HERE/files/teal.png")
    assert last.images[0].picture.getpixel((0, 0)) == (0, 128, 128)
    _, _, _ = provider.asked.get_nowait()
    _, headers, _ = provider.asked.get_nowait()
    assert KEY not in " ".join(headers.values()), "the key went to where the picture lies"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("HERE/files/missing.png", "status 404"),
        ("HERE/files/moved.png", "status 302"),
        ("HERE/files/page.png", "not a whole picture"),
        ("HERE/files/endless.png", "too large"),
        ("http://127.0.0.1:9/x.png", "could not be fetched"),
        ("file:///etc/passwd", "not https"),
        ("ftp://127.0.0.1/x.png", "not https"),
        ("//x.png", "not https"),
        ("http://[::1/x.png", "could not be fetched|not https"),
    ],
)
def test_an_address_without_a_picture_is_refused(provider, url, says):
    with pytest.raises(ProviderError) as caught:
        draw(provider, "address", prompt=url)
    assert any(part in str(caught.value) for part in says.split("|"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.org/x.png", "not https"),
        ("https://127.0.0.1:9/x.png", "private network"),
        ("https://localhost:9/x.png", "private network"),
        ("https://[::ffff:10.0.0.1]/x.png", "private network"),
        ("https://169.254.169.254/latest/meta-data", "private network"),
    ],
)
def test_a_public_server_may_not_send_us_into_a_private_network(url, says):
    import anyio

    from dalle_app.engines.remote_pictures import fetch

    async def attempt() -> bytes:
        return await fetch(url, anywhere=False)

    with pytest.raises(ProviderError, match=says):
        anyio.run(attempt)


def test_what_counts_as_public():
    inside = ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0", "::1",
              "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "224.0.0.1", "::"]  # fmt: skip
    assert not any(_public(address) for address in inside)
    assert all(_public(address) for address in ["1.1.1.1", "2606:4700::1111"])
    assert MAX_BYTES < 64 * 2**20  # what the endless picture sends


@pytest.mark.parametrize("url", ["", "api.openai.com", "ftp://x/v1", "http://", "http://a:b@c/v1",
                                 "http://x:port/v1", "file:///etc/passwd"])  # fmt: skip
def test_an_address_that_cannot_be_a_server_is_refused(url):
    with pytest.raises(ProviderError, match="must read like"):
        OpenAIImages(Settings(), base_url=url, api_key=KEY)


@pytest.mark.parametrize("key", ["sk canary", "sk-\ncanary", "sk-ключ", "k" * 501])
def test_a_key_that_cannot_be_one_is_refused_and_not_repeated(key):
    with pytest.raises(ProviderError, match="no key") as caught:
        OpenAIImages(Settings(), base_url="https://api.openai.com/v1", api_key=key)
    assert key not in str(caught.value)


def test_openai_needs_a_key_and_other_servers_may_not():
    with pytest.raises(ProviderError, match="needs a key"):
        OpenAIImages(Settings(), base_url="https://api.openai.com/v1", api_key=" ")
    OpenAIImages(Settings(), base_url="http://127.0.0.1:8080/v1", api_key="")


def test_a_key_shows_in_no_repr_and_no_log(provider, caplog):
    caplog.set_level(logging.DEBUG)
    api = engine(provider, "ok")
    list(api.generate(ImageRequest("a blue harp", model="m", count=1)))
    assert KEY not in repr(api) + str(api)
    assert KEY not in caplog.text


def test_the_factory_builds_this_engine(provider):
    api = build_api_engine(Settings(openai_model="mine"), provider.base("ok"), KEY)
    assert isinstance(api, OpenAIImages)
    assert api.models()[0].name == "mine"
    assert "127.0.0.1" in api.where()
    api.close()


def test_the_list_of_models_is_complete_and_consistent():
    names = [model.name for model in image_models()]
    assert len(names) == len(set(names))
    assert {"dall-e-2", "dall-e-3", "gpt-image-2", "gpt-image-2.6-sunburst"} <= set(names)
    for model in image_models():
        assert model.known
        assert model.sizes
        assert model.instead in ("", *names)
        assert (model.retired is None) == (model.instead == "")
        assert set(model.prices) <= set(model.qualities)


def test_a_model_is_retired_from_its_day_on():
    model = image_model("gpt-image-1.5")
    assert model.advice(date(2026, 11, 30)).startswith("OpenAI switches it off on 1 December 2026")
    assert not model.is_retired(date(2026, 11, 30))
    assert model.advice(date(2026, 12, 1)).startswith("OpenAI switched it off")
    assert image_model("gpt-image-2").advice(date(2030, 1, 1)) == ""
    assert image_model("gpt-image-2").price("low", "1024x1024") == 0.006
    assert image_model("unheard-of").price("low", "1024x1024") is None

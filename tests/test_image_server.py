"""What a server says of its models, and what is believed of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import pytest
from fake_provider import FakeProvider, fake_provider

from dalle_app.engines.image_server import ImageServer
from dalle_app.engines.provider_errors import WEB_PAGE
from dalle_app.errors import ProviderError
from dalle_app.image_models import image_model, newest_model

KEY = "sk-canary-1"


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with fake_provider() as server:
        yield server


def test_what_a_server_says_of_its_models_wins(provider):
    models = {model.name: model for model in ImageServer(provider.base("ok"), KEY).models()}
    assert list(models) == ["gpt-image-2", "dall-e-2", "pocket", "text-only"]
    assert models["dall-e-2"].retirement(date(2031, 5, 12)) == "retired on 12 May 2031"
    assert models["dall-e-2"].instead
    assert models["pocket"].partial_images == 3, "another copy of this app streams"
    assert not models["gpt-image-2"].prices, "OpenAI's prices do not hold elsewhere"
    path, headers, _ = provider.asked.get_nowait()
    assert (path, headers["authorization"]) == ("/ok/v1/models", f"Bearer {KEY}")


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("bad-key", "does not accept this key"),
        ("html", WEB_PAGE),
        ("empty", WEB_PAGE),
        ("down", "status 503"),
    ],
)
def test_a_list_that_cannot_be_had_is_one_plain_sentence(provider, behaviour, says):
    with pytest.raises(ProviderError, match=re.escape(says)):
        ImageServer(provider.base(behaviour), KEY).models()


def test_a_server_without_a_list_is_one_all_the_same(provider):
    assert ImageServer(provider.base("no-route"), KEY).models() is None


def test_openai_is_told_from_other_servers():
    openais = ImageServer("https://api.openai.com/v1", KEY)
    assert openais.model("dall-e-2").retired
    unheard = openais.model("gpt-image-9")  # OpenAI refuses fields that it does not know
    assert (unheard.extras, unheard.response_format) == (False, False)
    other = ImageServer("http://127.0.0.1:8080/v1")
    assert not other.model("dall-e-2").retired
    assert other.model("sdxl").extras
    assert KEY not in repr(openais)


def test_the_newest_model_is_one_that_lives():
    assert newest_model(date(2026, 11, 22)).name == "gpt-image-2.6-sunburst"
    assert not newest_model(date(2026, 11, 22)).is_retired(date(2026, 11, 22))
    assert image_model("dall-e-2").retirement(date(2026, 5, 11)) == "until 12 May 2026"

"""What a visit spends: set aside before, settled after, and never above its cap."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_provider import FakeProvider, fake_provider

from dalle_app.engines.openai_images import OpenAIImages
from dalle_app.errors import InvalidRequest, ProviderError
from dalle_app.image_models import TokenCount, image_model
from dalle_app.request import ImageRequest
from dalle_app.settings import Settings
from dalle_app.spending import Charge, Purse, say_dollars

GPT = image_model("gpt-image-2")


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with fake_provider() as server:
        yield server


def engine(base_url: str, charge: Charge, **options: str) -> OpenAIImages:
    return OpenAIImages(Settings(), base_url=base_url, api_key="sk-canary-1", model=GPT,
                        charge=charge, options=options)  # fmt: skip


def test_a_call_costs_what_its_usage_says(provider):
    assert GPT.cost(TokenCount(text=1_000_000)) == 5
    purse = Purse(cap=1)
    api = engine(provider.base("ok"), purse.reserve(0.5))
    *_, last = api.generate(ImageRequest("a blue harp", model="gpt-image-2", count=1))
    assert last.notes == ("This took 205 tokens, $0.006.",)
    assert purse.spent == pytest.approx((9 * 5 + 196 * 30) / 10**6)


def test_without_usage_it_costs_what_the_pictures_do(provider):
    purse = Purse(cap=1)
    api = engine(provider.base("one"), purse.reserve(0.422), quality="high")
    request = ImageRequest("a blue harp", model="gpt-image-2", count=2, size="1024x1024")
    *_, last = api.generate(request)
    assert last.notes == ("The server drew 1 of 2 pictures.", "This took $0.21.")
    assert purse.spent == pytest.approx(0.211)


@pytest.mark.parametrize(
    ("behaviour", "spent"),
    [("unsafe", 0), ("bad-key", 0), ("busy", 0), ("stream-unsafe", 0),
     ("down", 0.5), ("cut", 0.5), ("bad64", 0.5)],
)  # fmt: skip
def test_only_a_failure_that_may_have_been_billed_counts(provider, behaviour, spent):
    purse = Purse(cap=1)
    api = engine(provider.base(behaviour), purse.reserve(0.5))
    with pytest.raises(ProviderError):
        list(api.generate(ImageRequest("a blue harp", model="gpt-image-2", count=1)))
    assert purse.spent == spent


def test_a_server_that_never_heard_the_call_costs_nothing():
    purse = Purse(cap=1)
    with pytest.raises(ProviderError):
        list(
            engine("http://127.0.0.1:9/v1", purse.reserve(0.5)).generate(ImageRequest("x", count=1))
        )
    assert purse.spent == 0


def test_a_purse_refuses_what_would_pass_its_cap():
    purse = Purse(cap=1)
    purse.reserve(0.6)
    with pytest.raises(InvalidRequest, match=r"spent \$0\.60 of the \$1\.00"):
        purse.reserve(0.5)
    purse.reserve(0).settle(0.5)  # nobody knew
    with pytest.raises(InvalidRequest, match="raise the limit"):
        purse.reserve(0)
    assert purse.spent == pytest.approx(1.1)


def test_dollars_are_said_as_finely_as_they_matter():
    assert [say_dollars(d) for d in (0, 0.0059, 0.211, 12)] == [
        "$0.00",
        "$0.006",
        "$0.21",
        "$12.00",
    ]

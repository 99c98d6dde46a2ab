"""Text reaches mini and mega as it did in their training."""

import json
from pathlib import Path

import pytest

from dalle_app.engines.dalle_mini.normalizer import normalize

# The original: no price for one word more, so that rare letters fall apart further.
HASHTAGS_SPLIT_OTHERWISE = {
    "#it's": " it x tok x quo text ok xs",
    "#I'm": " ix tok x quo text ok xm",
    "#qwrtpsdf": " q wr tps df",
    "the “#catsofinstagram” tag": ' the " cats of insta gram " tag',
}


def original_outputs() -> dict[str, str]:
    table = Path(__file__).parent / "data" / "normalized.jsonl"
    return dict(json.loads(line) for line in table.read_text(encoding="utf-8").splitlines())


def test_normalizing_equals_the_original_code_but_for_four_hashtags() -> None:
    expected = original_outputs()
    assert len(expected) >= 350
    differ = {text: found for text in expected if (found := normalize(text)) != expected[text]}
    assert differ == HASHTAGS_SPLIT_OTHERWISE


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("café", " cafe"),
        ("Привет, кот", " privet, kot"),
        ("#sunsetbeach", " sunset beach"),
        ("cat’s 1,000 toys", " cat's 1000 toys"),
        ("two lines\nof text", " two lines of text"),
    ],
)
def test_prompts_that_the_package_maims_read_as_in_training(prompt: str, read: str) -> None:
    assert normalize(prompt) == read


def test_an_anonymised_person_is_always_the_same_words() -> None:
    assert normalize("<PERSON> riding a horse") == " a person riding a horse"


def test_punctuation_alone_leaves_a_lone_space() -> None:
    assert normalize("...!?") == " "

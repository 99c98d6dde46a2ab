"""A small model says which words it guesses at."""

import pytest

from dalle_app.engines.dalle_mini.vocabulary import Vocabulary

POCKET = Vocabulary(["cat", "chair", "fire engine", "cherry", "glass of milk"], ["red", "three"])


@pytest.mark.parametrize(
    "prompt", ["a red cat", "three cats", "cherries and a chair", "a fire engine", "3 cats", ""]
)
def test_words_that_it_has_seen_need_no_note(prompt: str) -> None:
    assert POCKET.note("pocket", prompt) is None


def test_one_unknown_word_is_named_with_what_it_resembles() -> None:
    expected = "pocket has never seen the word “armchair”. It will guess. It knows chair."
    assert POCKET.note("pocket", "a red armchair") == expected
    assert POCKET.nearest("cheery") == ["cherry"]


def test_several_unknown_words_are_named_together() -> None:
    note = POCKET.note("pocket", "a quantum cat on a tightrope")
    assert note == "pocket has never seen the words “quantum”, “tightrope”. It will guess."


def test_a_model_that_saw_no_one_knows_what_is_never_noted() -> None:
    assert Vocabulary([], []).note("mini", "a quantum tightrope") is None

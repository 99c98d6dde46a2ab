"""The styles' phrases."""

from __future__ import annotations

import pytest

from dalle_app.errors import InvalidRequest
from dalle_app.styles import styled, styles


def test_every_style_has_a_name_of_its_own_and_keeps_the_whole_prompt() -> None:
    names = [style.name for style in styles()]
    assert len(set(names)) == len(names) >= 12
    for style in styles():
        assert "a {red} cat" in styled("a {red} cat", style.name)
        assert len(styled("x", style.name)) > 1


def test_no_style_leaves_the_prompt_alone() -> None:
    assert styled("  a blue harp ", "") == "a blue harp"


def test_an_empty_prompt_stays_empty_so_that_it_is_refused() -> None:
    assert styled("  ", "mosaic") == ""


def test_an_unknown_style_is_named_in_a_sentence() -> None:
    with pytest.raises(InvalidRequest, match="no style “cubist”"):
        styled("a harp", "cubist")

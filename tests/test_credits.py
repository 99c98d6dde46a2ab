"""Model card and credits at the foot of the page."""

from __future__ import annotations

from dalle_app.ui.credits import credits_markup, markup_from_markdown


def test_the_model_card_and_every_author_are_there() -> None:
    card, credits = credits_markup()
    assert "<h1>pocket: model card</h1>" in card
    assert "Noto Emoji" in credits
    assert "<table>" in credits


def test_links_to_the_web_stay_and_those_to_files_become_text() -> None:
    text = markup_from_markdown("[there](https://example.org/) and [here](docs/here.txt)")
    assert '<a href="https://example.org/" target="_blank" rel="noreferrer">there</a>' in text
    assert "and here</p>" in text


def test_html_is_shown_and_not_obeyed() -> None:
    assert "<script>" not in markup_from_markdown("<script>alert(1)</script>")


def test_comments_and_pictures_of_the_repository_are_left_out() -> None:
    assert markup_from_markdown("a <!-- not\nthis --> b ![curve](curve.png)") == "<p>a  b </p>\n"

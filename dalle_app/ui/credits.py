"""Model card and credits, from the repository's own Markdown, for the dialog at the page's foot.

Knows nothing of the dialog. HTML in the files is shown, not obeyed.
"""

from __future__ import annotations

import re
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_ROOT = Path(__file__).parents[2]
_FILES = ("docs/pocket/README.md", "ATTRIBUTION.md")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def credits_markup() -> list[Markup]:
    """Each file as HTML; one that this copy of the program came without is left out."""
    paths = [path for path in (_ROOT / name for name in _FILES) if path.is_file()]
    return [markup_from_markdown(path.read_text(encoding="utf-8")) for path in paths]


def markup_from_markdown(text: str) -> Markup:
    """Markdown as HTML. Links stay where they lead to the web; those to other files become text."""
    markdown = MarkdownIt("js-default", {"linkify": False})
    tokens = markdown.parse(_COMMENT.sub("", text))
    for token in tokens:
        token.children = _outward(token.children or [])
    return Markup(markdown.renderer.render(tokens, markdown.options, {}))  # escaped by the parser


def _outward(tokens: list[Token]) -> list[Token]:
    kept, inward = [], False
    for token in tokens:
        if token.type == "image":
            continue  # the card's pictures are the repository's
        if token.type == "link_open":
            inward = not str(token.attrGet("href")).startswith("https://")
            token.attrSet("target", "_blank")
            token.attrSet("rel", "noreferrer")
        if not (inward and token.type in ("link_open", "link_close")):
            kept.append(token)
    return kept

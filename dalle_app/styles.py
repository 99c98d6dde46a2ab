"""Styles: the phrases that a chip adds to a prompt.

Knows nothing of the page. The data is `styles.toml`; the model, the recipe and the link only ever
see the whole prompt.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dalle_app.errors import InvalidRequest

_FILE = Path(__file__).with_name("styles.toml")


@dataclass(frozen=True, slots=True)
class Style:
    """A style's name, and how it is asked for: `a mosaic of {prompt}`."""

    name: str
    template: str


@cache
def styles() -> tuple[Style, ...]:
    """All styles, in the order of the page."""
    entries = tomllib.loads(_FILE.read_text(encoding="utf-8"))["styles"]
    return tuple(Style(**entry) for entry in entries)


def styled(prompt: str, style: str) -> str:
    """The prompt as the model should read it. An empty style leaves it alone.

    An empty prompt stays empty, so that it is refused as one.

    Raises:
        InvalidRequest: there is no such style.
    """
    prompt = prompt.strip()
    if not style:
        return prompt
    for known in styles():
        if known.name == style:
            return known.template.replace("{prompt}", prompt) if prompt else ""
    names = ", ".join(known.name for known in styles())
    raise InvalidRequest("style", f"There is no style “{style[:40]}”. There is: {names}.")

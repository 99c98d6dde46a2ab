"""The pictures that a first visitor is shown, each with the recipe that made it.

Knows nothing of the page: an example is a PNG of `static/examples/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dalle_app.recipe import recipe_from_png
from dalle_app.request import ImageRequest

FOLDER = Path(__file__).parents[2] / "static" / "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """A picture's address on this server, and the request that it is picture 0 of."""

    url: str
    request: ImageRequest


@cache
def examples() -> tuple[Example, ...]:
    """The shipped examples, by file name; none where the folder is missing."""
    found = []
    for path in sorted(FOLDER.glob("*.png")):
        with path.open("rb") as file:
            recipe = recipe_from_png(file)
        found.append(Example(f"look/examples/{path.name}", recipe.request))
    return tuple(found)

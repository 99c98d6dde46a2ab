"""Real drawings put together as a prompt asks: what a perfect answer looks like, for the ceiling.

Knows the suite and the drawings; knows nothing of models or of how answers are scored.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from training.compositions import SET_STYLES, Composition, Figure, in_rows
from training.holdout import things
from training.sprites import Sprite
from training.suite import Item

LINE_ART = "fluent-hc"  # black and white: it takes no colour and has to be asked for
ROWS = {2: (2,), 3: (1, 2), 4: (2, 2), 5: (2, 3), 6: (3, 3)}


@dataclass(frozen=True)
class Answers:
    """Compositions of real drawings that answer items of the suite."""

    sprites: list[Sprite]

    @cached_property
    def by_word(self) -> dict[str, list[Sprite]]:
        """Class word -> its drawings."""
        table = {word: names for section in things().values() for word, names in section.items()}
        by_name: dict[str, list[Sprite]] = {}
        for sprite in self.sprites:
            by_name.setdefault(sprite.name, []).append(sprite)
        return {
            word: [sprite for name in names for sprite in by_name.get(name, [])]
            for word, names in table.items()
        }

    def to(self, item: Item, rng: np.random.Generator) -> Composition:
        """A picture that shows what the item asks for, from one drawing of any set that fits."""
        drawings = [s for s in self.by_word[item.thing] if s.set != LINE_ART]
        seed = int(rng.integers(2**31))
        if item.family == "style":
            own = [s for s in self.by_word[item.thing] if SET_STYLES.get(s.set) == item.attribute]
            if item.attribute in SET_STYLES.values():
                figure = _whole(own or drawings, rng)
                return Composition("styled", (figure,), (item.prompt,), seed=seed)
            figure = _whole(drawings, rng)
            return Composition(
                "filtered", (figure,), (item.prompt,), filter=item.attribute, seed=seed
            )
        if item.family == "background":
            figure = _whole(drawings, rng, size=0.85)
            return Composition(
                "ground", (figure,), (item.prompt,), ground=item.attribute, seed=seed
            )
        if item.family == "count":
            sprite = drawings[rng.integers(len(drawings))].row
            figures = in_rows(sprite, ROWS[item.count])
            return Composition("counted", figures, (item.prompt,), seed=seed)
        figure = _whole(drawings, rng, colour=item.attribute or None)
        return Composition("plain", (figure,), (item.prompt,), seed=seed)


def _whole(
    drawings: list[Sprite], rng: np.random.Generator, size: float = 0.95, colour: str | None = None
) -> Figure:
    return Figure(drawings[rng.integers(len(drawings))].row, size=size, colour=colour)

"""The pictures that a first visitor is shown."""

from __future__ import annotations

import numpy as np
from PIL import Image

from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.settings import Settings
from dalle_app.ui.examples import FOLDER, examples
from training.examples import EXAMPLES


def test_there_are_four_and_each_is_what_its_recipe_draws() -> None:
    assert [(shown.request.prompt, shown.request.seed) for shown in examples()] == list(EXAMPLES)
    engine = LocalEngine(Settings())
    try:
        for shown in examples():
            *_, final = engine.generate(shown.request)
            with Image.open(FOLDER / shown.url.rsplit("/", 1)[1]) as kept:
                drawn = final.images[0].picture
                assert kept.size == drawn.size
                furthest = np.abs(
                    np.asarray(kept.convert("RGB"), int) - np.asarray(drawn, int)
                ).max()
                assert furthest <= 2  # other processors round otherwise
    finally:
        engine.close()

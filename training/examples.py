"""Draw the example pictures that a first visitor is shown, with the shipped pocket.

    python -m training.examples

Knows the engine and nothing of how its weights came to be. Every picture carries its recipe, so a
click on it draws the same one again.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.recipe import save_png
from dalle_app.request import ImageRequest
from dalle_app.settings import Settings

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parents[1] / "static" / "examples"
# Each is picture 0 of a grid of nine with its seed: what stands first when it is clicked.
EXAMPLES = (
    ("a blue harp", 7),
    ("a sunflower", 5),
    ("a neon sign of a cactus", 2),
    ("a penguin", 8),
)


def draw_examples(folder: Path) -> list[Path]:
    """Draw and save every example in place of what `folder` held; their paths, in order."""
    engine = LocalEngine(Settings())
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.png"):
            old.unlink()
        for number, (prompt, seed) in enumerate(EXAMPLES, start=1):
            *_, final = engine.generate(ImageRequest(prompt, seed=seed))
            path = folder / f"{number}-{prompt.replace(' ', '-')}.png"
            with path.open("wb") as file:
                save_png(final.images[0], file)
            paths.append(path)
    finally:
        engine.close()
    return paths


def main() -> None:
    """Draw them into `static/examples`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    logging.basicConfig(level=logging.INFO)
    for path in draw_examples(parser.parse_args().folder):
        log.info("%s", path)


if __name__ == "__main__":
    main()

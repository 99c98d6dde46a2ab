"""Draws compositions and caches them, shard by shard: pictures-*.npy beside compositions-*.jsonl.

    python -m training.drawing

It does not know models or tokens. Shards that exist are kept, so a broken run goes on.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from training import DATA, filters, scenes
from training.compositions import BACKGROUNDS, COLOURS, Composer, Composition, Figure
from training.sprites import PIXELS, SPRITES, load_pixels, load_sprites

SHARDS, SHARD = 25, 5000  # 125,000 pictures: what the shipped weights learnt from
RGB = tuple[int, int, int]
WHITE = (255, 255, 255)


class Drawer:
    """Turns compositions into pixels. sprites: uint8 [n, PIXELS, PIXELS, 4], straight alpha."""

    def __init__(self, sprites: NDArray[np.uint8]) -> None:
        self.sprites = sprites

    def draw(self, composition: Composition) -> NDArray[np.uint8]:
        """-> uint8 [PIXELS, PIXELS, 3]; the same composition gives the same picture."""
        rng = np.random.default_rng(composition.seed)
        figures = Image.new("RGBA", (PIXELS, PIXELS))
        for figure in composition.figures:
            figures.alpha_composite(*self._placed(figure))
        if composition.filter:
            return np.asarray(filters.apply(composition.filter, figures, rng))
        if composition.scene:
            picture = scenes.paint(composition.scene, rng).convert("RGBA")
        else:
            ground = BACKGROUNDS[composition.ground] if composition.ground else WHITE
            picture = Image.new("RGBA", (PIXELS, PIXELS), ground)
        picture.alpha_composite(figures)
        return np.asarray(picture.convert("RGB"))

    def _placed(self, figure: Figure) -> tuple[Image.Image, tuple[int, int]]:
        pixels = self.sprites[figure.sprite]
        if figure.colour:
            pixels = repainted(pixels, COLOURS[figure.colour])
        drawing = Image.fromarray(pixels)
        if figure.mirrored:
            drawing = drawing.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        side = round(figure.size * PIXELS)
        if side != PIXELS:
            drawing = drawing.resize((side, side), Image.Resampling.BILINEAR)
        room = PIXELS - side
        x, y = (
            int(np.clip(centre * PIXELS - side / 2, 0, room)) for centre in (figure.x, figure.y)
        )
        return drawing, (x, y)


def repainted(pixels: NDArray[np.uint8], colour: RGB) -> NDArray[np.uint8]:
    """The drawing in another colour: outlines stay dark, highlights light, shades stay shades.

    uint8 [h, w, 4] -> the same. Coloured pixels take the paint; in a drawing without colours the
    greys do, and in a black one everything that is not white.
    """
    rgb = pixels[..., :3].astype(np.float32) / 255
    shown = pixels[..., 3] > 128
    light = rgb @ np.array([0.35, 0.5, 0.15], np.float32)
    brightest = rgb.max(-1)
    saturation = (brightest - rgb.min(-1)) / np.maximum(brightest, 1e-3)
    takes = _ramp(saturation, 0.12, 0.32) * _ramp(brightest, 0.15, 0.35)
    if not shown.any():
        return pixels
    if takes[shown].mean() < 0.35:
        takes = np.maximum(takes, _ramp(light, 0.12, 0.32) * _ramp(0.97 - light, 0, 0.07))
    if takes[shown].mean() < 0.3:
        takes = _ramp(0.97 - light, 0, 0.07)
        light = 0.5 + 0.5 * light
    body = shown & (takes > 0.5)
    middle = max(float(np.median(light[body])) if body.sum() > 20 else 0.6, 0.05)
    paint = np.array(colour, np.float32) / 255
    shade = (light / middle)[..., None]
    darker = paint * (0.35 + 0.65 * shade)
    towards_white = np.clip((shade - 1) / max(1 / middle - 1, 0.4), 0, 1) * 0.75
    painted = np.where(shade < 1, darker, paint + (1 - paint) * towards_white)
    mixed = rgb + (np.clip(painted, 0, 1) - rgb) * takes[..., None]
    return np.dstack([(mixed * 255).round().astype(np.uint8), pixels[..., 3]])


def _ramp(values: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    ramp: NDArray[Any] = np.clip((values - low) / (high - low), 0, 1)
    return ramp


def draw_shard(composer: Composer, drawer: Drawer, folder: Path, number: int, size: int) -> None:
    """One file of pictures, one of compositions; the pictures appear last, whole or not at all."""
    name = f"{number:04d}"
    pictures = folder / f"pictures-{name}.npy"
    if pictures.exists():
        return
    rng = np.random.default_rng([2022, number])
    made = [composer.compose(rng) for _ in range(size)]
    lines = (json.dumps(composition.to_json()) for composition in made)
    (folder / f"compositions-{name}.jsonl").write_text("\n".join(lines) + "\n")
    half = folder / f"half-{name}.npy"
    np.save(half, np.stack([drawer.draw(composition) for composition in made]))
    half.replace(pictures)


def main() -> None:
    """Read the command line and draw what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sprites", type=Path, default=SPRITES)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--shards", type=int, default=SHARDS)
    parser.add_argument("--first", type=int, default=0, help="so that processes can share the work")
    parser.add_argument("--size", type=int, default=SHARD, help="pictures in a shard")
    options = parser.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    composer = Composer(load_sprites(options.sprites))
    drawer = Drawer(load_pixels(options.sprites))
    for number in tqdm(range(options.first, options.first + options.shards), unit="shard"):
        draw_shard(composer, drawer, options.data, number, options.size)


if __name__ == "__main__":
    main()

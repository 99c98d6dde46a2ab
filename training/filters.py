"""Twelve ways to draw the same picture: pixel art, watercolor, sketch, neon, blueprint and so on.

It does not know what a picture shows: a figure and its transparency in, a picture out.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from training.sprites import PIXELS

Pixels = NDArray[np.uint8]
NEON = ((255, 60, 160), (60, 230, 255), (120, 255, 90), (255, 200, 50), (180, 100, 255))
STICKER_GROUNDS = ((175, 215, 250), (250, 210, 40), (250, 130, 180), (190, 235, 180))
POSTERS = (
    ((30, 20, 60), (230, 40, 110), (255, 215, 60)),
    ((20, 30, 80), (40, 150, 220), (255, 240, 200)),
    ((60, 10, 60), (250, 110, 40), (120, 240, 220)),
)


def apply(style: str, figure: Image.Image, rng: np.random.Generator) -> Image.Image:
    """figure: RGBA, PIXELS along a side, transparent around -> RGB in that style."""
    white = Image.new("RGBA", figure.size, (255, 255, 255, 255))
    white.alpha_composite(figure)
    return STYLE_FILTERS[style](white.convert("RGB"), figure.getchannel("A"), rng)


def _pixel_art(picture: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> Image.Image:
    small = picture.resize((PIXELS // 4, PIXELS // 4), Image.Resampling.BOX)
    few = small.quantize(16, dither=Image.Dither.NONE).convert("RGB")
    return few.resize(picture.size, Image.Resampling.NEAREST)


def _watercolor(picture: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> Image.Image:
    cells = Image.fromarray((rng.random((16, 16)) * 255).astype(np.uint8))
    paper = 0.25 + 0.35 * _grey(cells.resize(picture.size, Image.Resampling.BICUBIC)) / 255
    soft = picture.filter(ImageFilter.MedianFilter(5)).filter(ImageFilter.GaussianBlur(1.2))
    edges = _grey(alpha.filter(ImageFilter.FIND_EDGES).filter(ImageFilter.GaussianBlur(1.4)))
    washed = np.asarray(soft) * (1 - paper) + np.array([252, 249, 240]) * paper
    return _image(washed - edges * 0.25)


def _sketch(picture: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> Image.Image:
    grey = picture.convert("L")
    around = _grey(grey.filter(ImageFilter.GaussianBlur(3.2)))
    lines = np.clip(_grey(grey) * 255 / np.maximum(around, 1), 0, 255)
    return _image(np.repeat(255 - (255 - lines) * 1.8, 3, axis=2))


def _silhouette(picture: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> Image.Image:
    return _filled((255, 255, 255), (15, 15, 18), alpha)


def _outlines(picture: Image.Image, alpha: Image.Image) -> Image.Image:
    inner = picture.convert("L").filter(ImageFilter.FIND_EDGES)
    both = ImageChops.lighter(inner, alpha.filter(ImageFilter.FIND_EDGES))
    both = both.point([min(255, value * 3) for value in range(256)])
    frame = Image.new("L", both.size)  # FIND_EDGES sees an edge at the border of the picture
    frame.paste(both.crop((2, 2, PIXELS - 2, PIXELS - 2)), (2, 2))
    return frame


def _neon(picture: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> Image.Image:
    edges = _outlines(picture, alpha)
    glow = edges.filter(ImageFilter.GaussianBlur(3.5))
    glow = glow.point([min(255, int(value * 1.6)) for value in range(256)])
    tube = NEON[rng.integers(len(NEON))]
    sign = _filled((14, 8, 28), tube, glow)
    sign.paste(tuple(min(255, value + 90) for value in tube), mask=edges)
    return sign


def _blueprint(picture: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> Image.Image:
    plan = np.full((PIXELS, PIXELS, 3), (28, 70, 150), np.uint8)
    plan[:: PIXELS // 8] = plan[:, :: PIXELS // 8] = (50, 95, 175)
    sheet = Image.fromarray(plan)
    sheet.paste((240, 246, 255), mask=_outlines(picture, alpha))
    return sheet


def _grayscale(picture: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> Image.Image:
    return picture.convert("L").convert("RGB")


def _sepia(picture: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> Image.Image:
    light = _grey(picture.convert("L")) / 255
    y, x = np.mgrid[-1 : 1 : PIXELS * 1j, -1 : 1 : PIXELS * 1j]
    faded = (1 - 0.25 * (x * x + y * y))[..., None]
    return _image((light * [235, 210, 165] + (1 - light) * [60, 38, 18]) * faded)


def _oil(picture: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> Image.Image:
    daubs = picture.filter(ImageFilter.ModeFilter(7))
    strokes = Image.fromarray((rng.random((PIXELS // 4, PIXELS // 8)) * 255).astype(np.uint8))
    brush = _grey(strokes.resize(picture.size, Image.Resampling.BICUBIC))
    return _image(np.asarray(daubs) + (brush - 128) * 0.18)


def _mosaic(picture: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> Image.Image:
    small = picture.resize((PIXELS // 8, PIXELS // 8), Image.Resampling.BOX)
    tiles = np.asarray(small.resize(picture.size, Image.Resampling.NEAREST)).copy()
    tiles[::8] = tiles[:, ::8] = 235
    return Image.fromarray(tiles)


def _sticker(picture: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> Image.Image:
    ground = STICKER_GROUNDS[rng.integers(len(STICKER_GROUNDS))]
    paper = alpha.filter(ImageFilter.MaxFilter(9))
    shadow = ImageChops.offset(paper, 3, 3).filter(ImageFilter.GaussianBlur(2))
    sheet = _filled(ground, tuple(int(value * 0.7) for value in ground), shadow)
    sheet.paste((255, 255, 255), mask=paper)
    sheet.paste(picture, mask=alpha)
    return sheet


def _pop_art(picture: Image.Image, alpha: Image.Image, rng: np.random.Generator) -> Image.Image:
    inks = np.array(POSTERS[rng.integers(len(POSTERS))], np.uint8)
    grey = np.asarray(picture.convert("L").filter(ImageFilter.GaussianBlur(1)))
    return Image.fromarray(inks[np.digitize(grey, [85, 190])])


def _filled(ground: tuple[int, ...], ink: tuple[int, ...], mask: Image.Image) -> Image.Image:
    picture = Image.new("RGB", mask.size, ground)
    picture.paste(ink, mask=mask)
    return picture


def _grey(picture: Image.Image) -> NDArray[np.float32]:
    return np.asarray(picture).astype(np.float32)[..., None]


def _image(values: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


Filter = Callable[[Image.Image, Image.Image, np.random.Generator], Image.Image]
STYLE_FILTERS: dict[str, Filter] = {
    "pixel art": _pixel_art, "watercolor": _watercolor, "sketch": _sketch,
    "silhouette": _silhouette, "neon": _neon, "grayscale": _grayscale, "sepia": _sepia,
    "oil": _oil, "mosaic": _mosaic, "sticker": _sticker, "blueprint": _blueprint,
    "pop art": _pop_art,
}  # fmt: skip

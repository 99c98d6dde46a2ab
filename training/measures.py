"""What pixels alone tell of a picture: its ground, its figure's colour, how many figures there are.

Knows nothing of prompts, models or classifiers. Pictures are uint8 [height, width, 3], square.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SIDE = 128  # pictures are measured at this size: pocket's own, doubled for the page
RING = 4  # px: the rim that belongs to the ground in every composition
GROUND_TOLERANCE = 48.0  # Euclidean RGB distance under which a pixel is still ground
PLAIN_SHARE = 0.6  # of the rim must agree for a ground to be one plain colour
COLOUR_SHARE = 0.35  # of the figure must have the asked colour, and no other have more
SMALLEST_FIGURE = 0.02  # of the picture; less is a speck, no figure
COUNT_SIDE = 64
WHOLE_SHARE = 0.3  # of the largest part: smaller parts are details or crumbs, not another thing

# Reference grounds, as the compositions paint them (RGB).
GROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255), "red": (225, 45, 45), "orange": (245, 135, 30),
    "yellow": (250, 210, 40), "green": (50, 165, 70), "blue": (45, 105, 225),
    "purple": (140, 70, 200), "pink": (250, 130, 180), "brown": (135, 85, 50),
    "black": (18, 18, 22), "gray": (140, 142, 148), "turquoise": (40, 190, 190),
    "light blue": (175, 215, 250), "dark blue": (25, 40, 100), "light green": (190, 235, 180),
}  # fmt: skip
# Hue limits in degrees, upper ends; below the first and above the last is red.
HUES = (
    (14, "red"), (41, "orange"), (68, "yellow"), (160, "green"), (197, "turquoise"),
    (248, "blue"), (293, "purple"), (344, "pink"), (360, "red"),
)  # fmt: skip


def at_measuring_size(picture: Pixels) -> npt.NDArray[np.float32]:
    """The picture at 128×128, float32 0..255; a doubled picture gives back what was doubled."""
    image = Image.fromarray(picture)
    if image.size != (SIDE, SIDE):
        image = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(image).astype(np.float32)


def ground_colour(picture: Pixels) -> npt.NDArray[np.float32]:
    """The median colour of the rim: float32 [3], 0..255."""
    return np.median(_rim(at_measuring_size(picture)), axis=0).astype(np.float32)


def ground_name(picture: Pixels) -> str | None:
    """The nearest of `GROUNDS` to a plain rim; None where the rim is not of one colour."""
    colour = ground_colour(picture)
    agreeing = _distance(_rim(at_measuring_size(picture)), colour) < GROUND_TOLERANCE
    if agreeing.mean() < PLAIN_SHARE:
        return None
    return min(GROUNDS, key=lambda name: float(_distance(colour, np.asarray(GROUNDS[name]))))


def figure(picture: Pixels) -> Mask:
    """Where something is drawn: all that is not of the ground's colour, bool [128, 128]."""
    return _distance(at_measuring_size(picture), ground_colour(picture)) >= GROUND_TOLERANCE


def colour_shares(picture: Pixels) -> dict[str, float]:
    """Colour name -> share of the figure's pixels, black outlines apart; {} without a figure.

    By hue, with pink as pale red, brown as dark orange, and black, gray and white by lightness.
    Dark pixels count as black only where the figure is mostly dark: a cartoon's outline is none
    of its colours.
    """
    mask = figure(picture)
    if mask.mean() < SMALLEST_FIGURE:
        return {}
    names = _colour_names(at_measuring_size(picture)[mask] / np.float32(255))
    shares = {str(name): float((names == name).mean()) for name in np.unique(names)}
    if shares.get("black", 0.0) < 0.5:
        shares.pop("black", None)
        total = sum(shares.values()) or 1.0
        shares = {name: share / total for name, share in shares.items()}
    return shares


def has_colour(shares: dict[str, float], colour: str) -> bool:
    """Whether a figure with these shares has the colour: most of all, and 35 % at least.

    White and gray do not compete: highlights, wheels and eyes belong to things of every colour.
    """
    rivals = [share for name, share in shares.items() if name not in (colour, "white", "gray")]
    share = shares.get(colour, 0.0)
    return share >= COLOUR_SHARE and share >= max(rivals, default=0.0)


def count_figures(picture: Pixels) -> int:
    """How many separate things stand on the ground: connected parts at 64×64, crumbs left out."""
    cells = figure(picture).reshape(COUNT_SIDE, 2, COUNT_SIDE, 2).mean(axis=(1, 3)) >= 0.5
    sizes = _part_sizes(cells)
    if not sizes:
        return 0
    return sum(size >= WHOLE_SHARE * max(sizes) for size in sizes)


def _rim(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    inner = np.ones((SIDE, SIDE), bool)
    inner[RING:-RING, RING:-RING] = False
    return pixels[inner]


def _distance(
    pixels: npt.NDArray[np.floating], colour: npt.NDArray[np.number]
) -> npt.NDArray[np.float32]:
    distance: npt.NDArray[np.float32] = np.sqrt(((pixels - colour) ** 2).sum(axis=-1))
    return distance.astype(np.float32)


def _colour_names(rgb: npt.NDArray[np.floating]) -> npt.NDArray[np.str_]:
    """Names of colours, str [n], of rgb float32 [n, 3] in 0..1."""
    value, least = rgb.max(axis=1), rgb.min(axis=1)
    chroma = value - least
    saturation = chroma / np.maximum(value, 1e-6)
    red, green, blue = rgb.T
    safe = np.maximum(chroma, 1e-6)
    hue = 60 * np.select(
        [value == red, value == green],
        [((green - blue) / safe) % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    names = np.full(len(rgb), "red", dtype="<U9")
    for limit, name in reversed(HUES):
        names[hue < limit] = name
    names[(hue >= 14) & (hue < 45) & (value < 0.68)] = "brown"
    pale_red = ((hue < 14) | (hue >= 344)) & (saturation < 0.55) & (value > 0.7)
    names[pale_red] = "pink"
    colourless = (saturation < 0.16) | (chroma < 0.1)
    names[colourless] = "gray"
    names[colourless & (value > 0.82)] = "white"
    names[colourless & (value < 0.5)] = "black"
    names[value < 0.2] = "black"
    return names


def _part_sizes(cells: Mask) -> list[int]:
    """Sizes of the connected parts (four neighbours) of a bool grid."""
    todo = set(map(tuple, np.argwhere(cells).tolist()))
    sizes = []
    while todo:
        edge, size = [todo.pop()], 0
        while edge:
            row, column = edge.pop()
            size += 1
            for near in (
                (row - 1, column),
                (row + 1, column),
                (row, column - 1),
                (row, column + 1),
            ):
                if near in todo:
                    todo.remove(near)
                    edge.append(near)
        sizes.append(size)
    return sizes

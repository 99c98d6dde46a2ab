"""Many pictures as one: the grid that people download and share.

Knows nothing of how they were made.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

PAPER = (255, 249, 240)  # the page's paper colour, where a grid has fewer pictures than places


def grid_image(pictures: Sequence[Image.Image], side: int) -> Image.Image:
    """Join pictures row by row: picture k stands at row k // side, column k % side.

    Args:
        pictures: 1 to side² pictures of one size, RGB, or RGBA to lie on paper.
        side: pictures in a row.

    Returns:
        RGB, side × the pictures' width and height.
    """
    width, height = pictures[0].size
    grid = Image.new("RGB", (side * width, side * height), PAPER)
    for k, picture in enumerate(pictures):
        see_through = picture if picture.mode == "RGBA" else None
        grid.paste(picture, (k % side * width, k // side * height), see_through)
    return grid

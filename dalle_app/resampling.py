"""A picture brought to a size that is not its model's own, as the Images API may ask for.

The API and the terminal do it alike, so that a recipe gives the same pixels again.
"""

from __future__ import annotations

import re
from dataclasses import replace

from PIL import Image

from dalle_app.errors import InvalidRecipe
from dalle_app.request import GeneratedImage

_SIZE = re.compile(r"([1-9]\d{1,3})x([1-9]\d{1,3})")


def resample(image: GeneratedImage, size: str) -> GeneratedImage:
    """The picture at `size`, `512x512` in pixels, which its recipe then says too.

    Raises:
        InvalidRecipe: `size`, which may come out of a file, is none.
    """
    match = _SIZE.fullmatch(size)
    if match is None:
        raise InvalidRecipe(f"This recipe is damaged: “{size[:40]}” is no size of a picture.")
    width, height = int(match[1]), int(match[2])
    if image.picture.size == (width, height):
        return image
    picture = image.picture.resize((width, height), Image.Resampling.LANCZOS)
    return GeneratedImage(picture, replace(image.recipe, resampled=size))

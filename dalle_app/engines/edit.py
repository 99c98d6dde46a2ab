"""What an edit starts from: pictures, and what of the first may change.

Knows nothing of servers or pages: it makes the files that the Images API takes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from dalle_app.engines.remote_pictures import picture_from_base64
from dalle_app.errors import InvalidRequest, ProviderError

VARIATIONS = (
    "Make a variation of this picture: the same subject, colours and style, in another composition."
)
MAX_PICTURES = 16  # the most that any model takes

File = tuple[str, bytes, str]  # name, bytes, media type, as the openai package takes them


@dataclass(frozen=True)
class Edit:
    """Pictures to start from (RGB), and a mask of the first one's size.

    Attributes:
        mask: L, 255 where the first picture may change; None if all of it may.
    """

    pictures: tuple[Image.Image, ...]
    mask: Image.Image | None = None

    def picture_files(self) -> list[File]:
        """The pictures as PNG files."""
        return [_png(f"picture-{k + 1}.png", picture) for k, picture in enumerate(self.pictures)]

    def mask_file(self) -> File | None:
        """The mask as the API wants it: a PNG that is transparent where the picture may change."""
        if self.mask is None:
            return None
        black = Image.new("L", self.mask.size)
        return _png("mask.png", Image.merge("LA", (black, self.mask.point(lambda v: 255 - v))))


def edit_from_texts(pictures: Sequence[object], mask: object) -> Edit:
    """Read an edit from what a browser sent: base64 pictures, and a mask or an empty text.

    In the mask, what is painted over (not transparent) may change.

    Raises:
        InvalidRequest: there is no picture, one cannot be opened, or there are too many.
    """
    if not pictures:
        raise InvalidRequest("prompt", "There is no picture to change yet. Choose one first.")
    if len(pictures) > MAX_PICTURES:
        raise InvalidRequest(
            "prompt", f"{len(pictures)} pictures are too many to start from; {MAX_PICTURES} go."
        )
    opened = tuple(_opened(text).convert("RGB") for text in pictures)
    if not mask:
        return Edit(opened)
    painted = _opened(mask, keep_alpha=True)
    alpha = painted.convert("RGBA").getchannel("A").point(lambda v: 255 if v > 127 else 0)
    if alpha.size != opened[0].size:
        alpha = alpha.resize(opened[0].size, Image.Resampling.NEAREST)
    return Edit(opened, alpha if alpha.getbbox() else None)


def _opened(text: object, *, keep_alpha: bool = False) -> Image.Image:
    try:
        return picture_from_base64(text if isinstance(text, str) else "", keep_alpha=keep_alpha)
    except ProviderError as error:
        raise InvalidRequest(
            "prompt",
            "This picture cannot be opened. Choose a whole PNG, JPEG or WebP, not too large.",
        ) from error


def _png(name: str, picture: Image.Image) -> File:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return name, buffer.getvalue(), "image/png"

"""Pictures on their way out: brought to size, encoded, put behind an address or into text.

Knows one request's wishes for its pictures, and nothing of how they are drawn.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable
from typing import Any

from dalle_app.api.schema import (
    Format,
    GenerationBody,
    ImagesAnswer,
    PictureAnswer,
    PictureEvent,
    recipe_fields,
    usage_of,
)
from dalle_app.recipe import save_png
from dalle_app.request import GeneratedImage, Snapshot
from dalle_app.resampling import resample


class Delivery:
    """Turns snapshots into what one client asked for. Too slow for an event loop: it encodes.

    Args:
        body: the client's wishes.
        address: keeps an encoded picture of a format and says where it is to be had.
    """

    def __init__(self, body: GenerationBody, address: Callable[[bytes, Format], str]) -> None:
        self._side = body.side
        self._format: Format = body.output_format or "png"
        self._quality = 100 if body.output_compression is None else body.output_compression
        self._by_address = body.response_format == "url"
        self._address = address

    def answer(self, snapshot: Snapshot) -> bytes:
        """The JSON of an ImagesAnswer, from the last snapshot."""
        images = [self._fitted(image) for image in snapshot.images]
        answer = ImagesAnswer(
            created=int(time.time()),
            data=[self._picture(image) for image in images],
            output_format=self._format,
            size=_size(images[0]),
            usage=usage_of(snapshot.text_tokens, snapshot.of * len(images)),
        )
        return answer.model_dump_json(exclude_none=True).encode()

    def partial(self, snapshot: Snapshot, preview: int) -> bytes:
        """One event a picture, as far as it is drawn; `preview` counts from 0."""
        type = "image_generation.partial_image"
        return b"".join(
            self._event(image, type=type, partial_image_index=preview) for image in snapshot.images
        )

    def completed(self, snapshot: Snapshot) -> bytes:
        """One event a picture, from the last snapshot."""
        # The prompt was read once for all of them, and is billed with the first.
        tokens = [snapshot.text_tokens, *[0] * (len(snapshot.images) - 1)]
        return b"".join(
            self._event(image, type="image_generation.completed", usage=usage_of(read, snapshot.of))
            for image, read in zip(snapshot.images, tokens, strict=True)
        )

    def _fitted(self, image: GeneratedImage) -> GeneratedImage:
        return image if self._side is None else resample(image, f"{self._side}x{self._side}")

    def _encoded(self, image: GeneratedImage) -> bytes:
        buffer = io.BytesIO()
        if self._format == "png":
            save_png(image, buffer)
        elif self._format == "jpeg":  # colours in full: these are drawings, not photographs
            image.picture.save(buffer, "JPEG", quality=self._quality, subsampling=0)
        else:
            image.picture.save(buffer, "WEBP", quality=self._quality)
        return buffer.getvalue()

    def _picture(self, image: GeneratedImage) -> PictureAnswer:
        encoded, fields = self._encoded(image), recipe_fields(image.recipe)
        if self._by_address:
            return PictureAnswer(url=self._address(encoded, self._format), **fields)
        return PictureAnswer(b64_json=_text(encoded), **fields)

    def _event(self, image: GeneratedImage, **fields: Any) -> bytes:
        image = self._fitted(image)
        event = PictureEvent(
            b64_json=_text(self._encoded(image)),
            created_at=int(time.time()),
            output_format=self._format,
            size=_size(image),
            **fields,
            **recipe_fields(image.recipe),
        )
        data = event.model_dump_json(exclude_none=True)
        return f"event: {event.type}\ndata: {data}\n\n".encode()


def _size(image: GeneratedImage) -> str:
    return "{}x{}".format(*image.picture.size)


def _text(encoded: bytes) -> str:
    return base64.b64encode(encoded).decode("ascii")

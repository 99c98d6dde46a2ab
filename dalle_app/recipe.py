"""How a picture was made, so that it can be made again: in a PNG, a link or JSON.

The one codec for all of them. Knows nothing of engines: it carries what they say of themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlencode

from PIL import Image, PngImagePlugin

from dalle_app.errors import InvalidRecipe, InvalidRequest
from dalle_app.request import MAX_COUNT, GeneratedImage, ImageRequest, request_from_fields

FORMAT = 1
PNG_KEY = "crayonbox"  # keyword of the PNG text chunk
MAX_JSON = 64 * 1024  # characters; an honest recipe has about 600, plus the prompts
_SAMPLING = ("negative_prompt", "temperature", "top_k", "guidance", "size")
_LINK_FIELDS = ("prompt", "seed", "grid", "count", "model", *_SAMPLING)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A settled request, the picture's place in it, and what drew it.

    Attributes:
        request: with its seed, and the sampling values that were really used.
        index: picture `index` of `request.count`, from 0.
        engine: the engine's name, `dalle_mini` or `openai_images`.
        weights: fingerprint of the checkpoint's weights, 16 hex digits; empty for a remote model.
        precision: `float32` or `bfloat16`; empty for a remote model.
        device: kind of device, `cpu` or `cuda`; the same tokens are promised for the same kind.
        resampled: `1024x1024` if the picture was brought to a size that is not the model's own.
        versions: of the packages that matter, by name.
    """

    request: ImageRequest
    index: int
    engine: str
    weights: str = ""
    precision: str = ""
    device: str = ""
    resampled: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line of ASCII JSON: flat, with the request's fields at the top level."""
        values = asdict(self)
        request = {k: v for k, v in values.pop("request").items() if v is not None}
        return json.dumps({"format": FORMAT, **request, **values})

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The inverse of `to_json`, for texts from anywhere.

        Raises:
            InvalidRecipe: too long, not JSON, of another format, or with wrong values.
        """
        if len(text) > MAX_JSON:
            raise InvalidRecipe("This recipe is too long to be one of ours.")
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidRecipe("This recipe is damaged: it is not JSON.") from error
        if not isinstance(values, dict):
            raise InvalidRecipe("This recipe is damaged: it is not a JSON object.")
        if values.get("format") != FORMAT:
            raise InvalidRecipe(
                "This recipe was written by another version of the app. Its prompt and seed can be "
                "typed in by hand."
            )
        try:
            request = request_from_fields(_request_fields(values))
        except InvalidRequest as error:
            raise InvalidRecipe(f"This recipe cannot be used: {error}") from error
        if request.seed is None:
            raise InvalidRecipe("This recipe is damaged: it has no seed.")
        return cls(request, _index(values, request), **_origin(values))


def link_from_request(request: ImageRequest, base: str = "") -> str:
    """An address that fills the page in: `base/?prompt=…&seed=…&grid=…&model=…`.

    Fields with the default value are left out; `grid` stands for a square count.
    """
    default = ImageRequest("-")
    query: dict[str, object] = {"prompt": request.prompt}
    if request.seed is not None:
        query["seed"] = request.seed
    square = request.side**2 == request.count
    query["grid" if square else "count"] = request.side if square else request.count
    query["model"] = request.model
    for name in _SAMPLING:
        value = getattr(request, name)
        if value != getattr(default, name):
            query[name] = value
    return f"{base.rstrip('/')}/?{urlencode(query)}"


def request_from_link(query: str | Mapping[str, str]) -> ImageRequest:
    """The inverse: a query string (or its parsed form) to a request. Starts nothing.

    Raises:
        InvalidRequest: a value cannot be drawn.
    """
    pairs = dict(parse_qsl(query.lstrip("?"))) if isinstance(query, str) else dict(query)
    return request_from_fields({k: v for k, v in pairs.items() if k in _LINK_FIELDS})


def save_png(image: GeneratedImage, to: BinaryIO) -> None:
    """Write a picture as PNG with its recipe in a text chunk."""
    save_picture(image.picture, image.recipe, to)


def save_picture(picture: Image.Image, recipe: Recipe, to: BinaryIO) -> None:
    """Write any picture (a grid, say) as PNG with a recipe in a text chunk."""
    info = PngImagePlugin.PngInfo()
    info.add_text(PNG_KEY, recipe.to_json())
    picture.save(to, format="PNG", pnginfo=info)


def recipe_from_png(file: BinaryIO) -> Recipe:
    """The recipe in a PNG's text chunk. Reads no pixels, so a bomb does not go off here.

    Raises:
        InvalidRecipe: not a PNG, none inside, or not one that can be read.
    """
    try:
        with Image.open(file, formats=["PNG"]) as picture:
            text = picture.info.get(PNG_KEY)  # our chunk stands before the pixels
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidRecipe("This file is not a whole PNG picture.") from error
    if not isinstance(text, str):
        raise InvalidRecipe("This picture carries no recipe: it was not made by this app.")
    return Recipe.from_json(text)


def _request_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(ImageRequest)}
    return {name: value for name, value in values.items() if name in names}


def _index(values: Mapping[str, Any], request: ImageRequest) -> int:
    index = values.get("index")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < MAX_COUNT:
        raise InvalidRecipe("This recipe is damaged: it does not say which picture it is.")
    if index >= request.count:
        raise InvalidRecipe("This recipe is damaged: its picture is not one of its grid.")
    return index


def _origin(values: Mapping[str, Any]) -> dict[str, Any]:
    names = ("engine", "weights", "precision", "device", "resampled")
    origin = {name: values.get(name, "") for name in names}
    versions = values.get("versions", {})
    texts = [*origin.values(), *(versions.values() if isinstance(versions, dict) else [None])]
    if not all(isinstance(text, str) and len(text) <= 200 for text in texts) or len(texts) > 40:
        raise InvalidRecipe("This recipe is damaged: what drew the picture is not named in text.")
    return {**origin, "versions": versions}

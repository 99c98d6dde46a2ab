"""The Images API's words: what a client sends and what it is answered.

OpenAI's, as the `openai` package's types describe them, and a few fields of our own. Knows no
pictures. Types are checked here, and never bent: `"3"` is not 3. The ranges of what ImageRequest
checks are named here only to tell clients.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dalle_app.recipe import Recipe
from dalle_app.request import (
    MAX_COUNT,
    MAX_GUIDANCE,
    MAX_PROMPT,
    MAX_SEED,
    MAX_TEMPERATURE,
    MAX_TOP_K,
    ImageRequest,
    request_from_fields,
)

Size = Literal["auto", "256x256", "512x512", "1024x1024"]
Format = Literal["png", "jpeg", "webp"]


def _whole(value: object) -> object:
    """JSON has one kind of number: 2.0 is as whole as 2."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
Percent = Annotated[int, Field(ge=0, le=100), BeforeValidator(_whole)]
Previews = Annotated[int, Field(ge=0, le=3), BeforeValidator(_whole)]


def _range(low: float, high: float) -> dict[str, Any]:
    return {"minimum": low, "maximum": high}


class GenerationBody(BaseModel):
    """A request for pictures. null means the default; fields that are not listed are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")

    prompt: str = Field(
        description="What to draw, more than white space.",
        json_schema_extra={"pattern": r"[^\s\x00-\x1f\x85]", "maxLength": MAX_PROMPT},
    )
    model: str | None = Field(
        None,
        description="One that GET /models lists; the server's first.",
        json_schema_extra={"maxLength": 200},
    )
    n: Whole | None = Field(
        None, description="How many pictures; 1.", json_schema_extra=_range(1, MAX_COUNT)
    )
    size: Size | None = Field(
        None,
        description="`auto` is the model's own, 256x256; others are resampled, and the recipe "
        "says so.",
    )
    response_format: Literal["b64_json", "url"] | None = Field(
        None, description="`b64_json`, and always that in a stream; a `url` lives an hour."
    )
    output_format: Format | None = Field(None, description="`png`, which carries the recipe too.")
    output_compression: Percent | None = Field(None, description="Quality of jpeg and webp, 100.")
    background: Literal["auto", "opaque"] | None = Field(None, description="Always opaque.")
    stream: bool | None = Field(None, description="Answer with server-sent events.")
    partial_images: Previews | None = Field(
        None, description="Previews of every picture in a stream, 0."
    )
    user: str | None = Field(None, description="Ignored.")

    seed: Whole | None = Field(
        None,
        description="The same seed gives the same pictures; a random one.",
        json_schema_extra=_range(0, MAX_SEED),
    )
    negative_prompt: str | None = Field(
        None,
        description="What to draw away from.",
        json_schema_extra={"maxLength": MAX_PROMPT},
    )
    temperature: float | None = Field(
        None, description="The model's own.", json_schema_extra=_range(0.01, MAX_TEMPERATURE)
    )
    top_k: Whole | None = Field(
        None, description="The model's own.", json_schema_extra=_range(1, MAX_TOP_K)
    )
    guidance: float | None = Field(
        None,
        description="How strictly to follow the prompt; the model's own.",
        json_schema_extra=_range(0, MAX_GUIDANCE),
    )

    def image_request(self, model: str) -> ImageRequest:
        """What the studio is asked for, of a model that it offers.

        Raises:
            InvalidRequest: it cannot be drawn.
        """
        fields = self.model_dump(
            include={"prompt", "seed", "negative_prompt", "temperature", "top_k", "guidance"}
        )
        count = 1 if self.n is None else self.n
        return request_from_fields({**fields, "count": count, "model": model})

    @property
    def side(self) -> int | None:
        """Width and height that are asked for, in pixels; None for the model's own."""
        return None if self.size in (None, "auto") else int(str(self.size).split("x")[0])


class InputTokens(BaseModel):
    """Tokens that were read."""

    image_tokens: int = 0
    text_tokens: int


class OutputTokens(BaseModel):
    """Tokens that were drawn."""

    image_tokens: int
    text_tokens: int = 0


class Usage(BaseModel):
    """Tokens of all pictures of a request together."""

    input_tokens: int
    input_tokens_details: InputTokens
    output_tokens: int
    output_tokens_details: OutputTokens
    total_tokens: int


class PictureAnswer(BaseModel):
    """One picture, and all that is needed to make it again."""

    b64_json: str | None = None
    url: str | None = None
    index: int = Field(description="Picture `index` of the request, from 0.")
    seed: int
    recipe: dict[str, Any]


class ImagesAnswer(BaseModel):
    """Pictures."""

    created: int
    background: Literal["opaque"] = "opaque"
    data: list[PictureAnswer]
    output_format: Format
    size: str
    usage: Usage


class PictureEvent(BaseModel):
    """A picture in a stream, finished or as far as it is drawn."""

    type: Literal["image_generation.partial_image", "image_generation.completed"]
    b64_json: str
    background: Literal["opaque"] = "opaque"
    created_at: int
    output_format: Format
    quality: Literal["auto"] = "auto"
    size: str
    index: int = Field(description="Picture `index` of the request, from 0.")
    partial_image_index: int | None = Field(None, description="In partial images only.")
    seed: int
    recipe: dict[str, Any]
    usage: Usage | None = Field(None, description="Of this picture, once it is completed.")


class ModelAnswer(BaseModel):
    """A model that can draw now."""

    id: str
    created: int = Field(description="When this server began to offer it, in Unix seconds.")
    object: Literal["model"] = "model"
    owned_by: str


class ModelsAnswer(BaseModel):
    """The models, the default one first."""

    object: Literal["list"] = "list"
    data: list[ModelAnswer]


class ErrorBody(BaseModel):
    """What happened and what to do (`message`), and the same for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """Every answer that is not 2xx."""

    error: ErrorBody


def recipe_fields(recipe: Recipe) -> dict[str, Any]:
    """`index`, `seed` and `recipe` of a picture."""
    flat: dict[str, Any] = json.loads(recipe.to_json())
    return {"index": recipe.index, "seed": flat["seed"], "recipe": flat}


def usage_of(text_tokens: int, image_tokens: int) -> Usage:
    """The bill."""
    return Usage(
        input_tokens=text_tokens,
        input_tokens_details=InputTokens(text_tokens=text_tokens),
        output_tokens=image_tokens,
        output_tokens_details=OutputTokens(image_tokens=image_tokens),
        total_tokens=text_tokens + image_tokens,
    )


def event_schema() -> dict[str, Any]:
    """A server-sent event with a PictureEvent, for the OpenAPI document."""
    picture = PictureEvent.model_json_schema(ref_template="#/components/schemas/{model}")
    del picture["$defs"]  # the document has them, from ImagesAnswer
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": picture}
    event = picture["properties"]["type"]
    return {
        "type": "object",
        "properties": {"event": event, "data": data},
        "required": ["event", "data"],
    }

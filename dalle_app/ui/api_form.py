"""What stands in the API tab's widgets: the request, the options and the price that it means.

Knows no widget and asks no server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any

from dalle_app.errors import InvalidRequest
from dalle_app.image_models import ImageModel
from dalle_app.request import ImageRequest, request_from_fields
from dalle_app.spending import say_dollars
from dalle_app.ui.words import say, say_pictures

MAX_NUMBER = 10  # pictures in one request, by the Images API
SHRINKING = ("jpeg", "webp")  # formats that can be compressed
WHOLE = 100  # output_compression of a picture that is not


@dataclass(frozen=True)
class Form:
    """The widgets' values, in their order on the page."""

    prompt: str
    model: str
    size: str
    quality: str
    number: int
    background: str
    format: str
    compression: int
    where: str
    address: str
    key: str = field(repr=False)
    limit: float | None

    def request(self, known: ImageModel, prompt: str = "") -> ImageRequest:
        """What is to be drawn, with another prompt than the widget's if one is given.

        Raises:
            InvalidRequest: it cannot be.
        """
        if not self.model:
            raise InvalidRequest("model", say("no_model"))
        return request_from_fields(
            {
                "prompt": prompt or self.prompt or "",
                "model": self.model,
                "count": self.number,
                "size": self.size if known.sizes else "",
            }
        )

    def options(self, known: ImageModel) -> dict[str, str | int]:
        """Further fields for the server: what the model allows, unless it is its own choice."""
        chosen = [
            ("quality", self.quality, known.qualities),
            ("background", self.background, known.backgrounds),
            ("output_format", self.format, known.formats),
        ]
        options: dict[str, str | int] = {
            name: value for name, value, allowed in chosen if value in allowed[1:]
        }
        if options.get("output_format") in SHRINKING and 0 <= self.compression < WHOLE:
            options["output_compression"] = int(self.compression)
        return options

    def price(self, known: ImageModel) -> float | None:
        """US dollars for all pictures, None where only the bill tells."""
        one = known.price(self.quality, self.size)
        return None if one is None else one * self.number


def form_from_widgets(values: Sequence[Any]) -> Form:
    """The form from the widgets' values in its order; an empty box may hold None."""
    given = dict(zip((field.name for field in fields(Form)), values, strict=True))
    given = {name: "" if value is None else value for name, value in given.items()}
    model, number, limit = given["model"].strip(), given["number"] or 1, given["limit"]
    limit = None if limit == "" else limit
    return Form(**{**given, "model": model, "number": number, "limit": limit})


def price_line(form: Form, known: ImageModel, at_openai: bool, spent: float) -> str:
    """What this drawing will cost, for the page."""
    if form.where == "here":
        return say("price_nothing")
    if not at_openai:
        return say("price_elsewhere")
    price = form.price(known)
    if price is None:
        line = say("price_unknown" if known.tokens else "price_unheard")
    else:
        line = say("price", pictures=say_pictures(form.number), dollars=say_dollars(price))
    return f"{line} {say('spent', dollars=say_dollars(spent))}" if spent else line


def model_label(model: ImageModel) -> str:
    """The model in a list: “dall-e-2 · retired on 12 May 2026”."""
    retirement = model.retirement(date.today())
    return f"{model.name} · {retirement}" if retirement else model.name

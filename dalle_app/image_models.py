"""What is known of the Images API's models: sizes, options, prices, retirement. Data, not code.

The data stand in image_models.toml. Knows no server: what one answers wins over this.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class ImageModel:
    """One model. The defaults are the common options, for a model that the file does not list.

    Attributes: as image_models.toml explains them, and
        known: whether the file lists it. A model that it does not may take a seed and the like.
    """

    name: str
    known: bool = False
    most: int = 10
    sizes: tuple[str, ...] = ("1024x1024", "512x512", "256x256")
    any_size: bool = False
    qualities: tuple[str, ...] = ()
    backgrounds: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    partial_images: int = 0
    response_format: bool = False
    retired: date | None = None
    instead: str = ""
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def is_retired(self, today: date) -> bool:
        """Whether OpenAI has switched it off."""
        return self.retired is not None and self.retired <= today

    def advice(self, today: date) -> str:
        """A sentence on its retirement; empty for a model that lives on."""
        if self.retired is None:
            return ""
        verb = "switched it off" if self.is_retired(today) else "switches it off"
        day = f"{self.retired.day} {self.retired:%B %Y}"
        return f"OpenAI {verb} on {day}: try {self.instead}."

    def price(self, quality: str, size: str) -> float | None:
        """US dollars for one picture, None where only the bill tells."""
        return self.prices.get(quality, {}).get(size)


@cache
def image_models() -> tuple[ImageModel, ...]:
    """All models that the file lists, newest first."""
    with _FILE.open("rb") as file:
        entries = tomllib.load(file)["model"]
    return tuple(_model(entry) for entry in entries)


def image_model(name: str) -> ImageModel:
    """A model by its name; with the common options if the file does not list it."""
    listed = {model.name: model for model in image_models()}
    return listed.get(name) or ImageModel(name, response_format=True)


def _model(entry: dict[str, object]) -> ImageModel:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    return ImageModel(known=True, **values)  # type: ignore[arg-type]  # our own file; a test reads it

"""What is known of the Images API's models: sizes, options, prices, retirement. Data, not code.

The data stand in image_models.toml. Knows no server: what one answers wins over this.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class TokenCount:
    """What a call used, as `usage` tells: tokens of words and pictures read, and of what came."""

    text: int = 0
    image: int = 0
    out: int = 0

    def __add__(self, other: TokenCount) -> TokenCount:
        return TokenCount(self.text + other.text, self.image + other.image, self.out + other.out)

    @property
    def total(self) -> int:
        """All of them."""
        return self.text + self.image + self.out


@dataclass(frozen=True)
class ImageModel:
    """One model. The defaults are the common options, for a model that the file does not list.

    Attributes: as image_models.toml explains them, and
        known: whether the file lists it.
        extras: whether it may be sent a seed, a negative prompt and the like. OpenAI refuses fields
            that it does not know; others use or ignore them.
    """

    name: str
    known: bool = False
    extras: bool = False
    most: int = 10
    inputs: int = 1
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
    tokens: Mapping[str, float] = field(default_factory=dict)

    def is_retired(self, today: date) -> bool:
        """Whether OpenAI has switched it off."""
        return self.retired is not None and self.retired <= today

    def advice(self, today: date) -> str:
        """A sentence on its retirement; empty for a model that lives on."""
        if self.retired is None:
            return ""
        verb = "switched it off" if self.is_retired(today) else "switches it off"
        return f"OpenAI {verb} on {_day(self.retired)}: try {self.instead}."

    def retirement(self, today: date) -> str:
        """The same in a few words, for a list: “retired on 12 May 2026”."""
        if self.retired is None:
            return ""
        return f"{'retired on' if self.is_retired(today) else 'until'} {_day(self.retired)}"

    def shut_down(self, day: date | None) -> ImageModel:
        """The same model, with the day that its server tells."""
        instead = self.instead or ("" if day is None else newest_model(day).name)
        return replace(self, retired=day, instead="" if day is None else instead)

    def elsewhere(self) -> ImageModel:
        """The same model at another server, where OpenAI's days and prices do not hold."""
        return replace(self, retired=None, instead="", prices={}, tokens={})

    def price(self, quality: str, size: str) -> float | None:
        """US dollars for one picture, None where only the bill tells."""
        return self.prices.get(quality, {}).get(size)

    def cost(self, used: TokenCount) -> float | None:
        """US dollars for a call that used so many tokens, None where no price is known."""
        if not self.tokens:
            return None
        counts = {"text": used.text, "image": used.image, "out": used.out}
        return sum(self.tokens[kind] * count for kind, count in counts.items()) / 10**6


@cache
def image_models() -> tuple[ImageModel, ...]:
    """All models that the file lists, newest first."""
    with _FILE.open("rb") as file:
        entries = tomllib.load(file)["model"]
    return tuple(_model(entry) for entry in entries)


def image_model(name: str) -> ImageModel:
    """A model by its name; with the common options if the file does not list it."""
    listed = {model.name: model for model in image_models()}
    return listed.get(name) or ImageModel(name, extras=True, response_format=True)


def known_model(name: str, at_openai: bool) -> ImageModel:
    """What is known of a model at OpenAI, or anywhere else."""
    model = image_model(name)
    if not at_openai:
        return model.elsewhere()
    # OpenAI takes neither seeds nor response_format for what is newer than our list.
    return model if model.known else replace(model, extras=False, response_format=False)


def newest_model(today: date) -> ImageModel:
    """The newest model that OpenAI has not switched off by then."""
    return next(model for model in image_models() if not model.is_retired(today))


def _model(entry: dict[str, object]) -> ImageModel:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    return ImageModel(known=True, **values)  # type: ignore[arg-type]  # our own file; a test reads it


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"

"""The drawings pocket learns from, as read from sprites.parquet.

It does not know captions or compositions, nor where drawings come from (`build_sprites` does).
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray
from PIL import Image

from training import DATA

SPRITES = DATA / "sprites.parquet"
PIXELS = 128


@dataclass(frozen=True)
class Sprite:
    """One drawing and what its set says about it; `row` is its place in the arrays of pixels."""

    row: int
    set: str
    name: str
    names: tuple[str, ...]
    aliases: tuple[str, ...]
    keywords: tuple[str, ...]
    group: str
    subgroup: str
    emoji: str


def load_sprites(path: Path = SPRITES) -> list[Sprite]:
    """All records, without their pixels."""
    columns = ["set", "name", "names", "aliases", "keywords", "group", "subgroup", "emoji"]
    rows = pyarrow.parquet.read_table(path, columns=columns).to_pylist()
    return [Sprite(row=number, **_hashable(row)) for number, row in enumerate(rows)]


def _hashable(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def load_pixels(path: Path = SPRITES) -> NDArray[np.uint8]:
    """uint8 [n, 128, 128, 4], straight alpha, in the order of `load_sprites`."""
    column = pyarrow.parquet.read_table(path, columns=["webp"])["webp"]
    return np.stack([_pixels(value.as_py()) for value in column])


def _pixels(packed: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(packed)).convert("RGBA"))

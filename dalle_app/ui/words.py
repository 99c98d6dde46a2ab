"""The page's words, from `words.toml`.

Knows nothing of where they are shown. A translation is another such file.
"""

from __future__ import annotations

import math
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("words.toml")


def say(key: str, **values: object) -> str:
    """The text named `key`, with `{name}` replaced by values.

    Raises:
        KeyError: no such text, or a value is missing.
    """
    return str(_words()[key]).format_map(values)


def say_list(key: str) -> list[str]:
    """The texts named `key`, paragraph by paragraph."""
    return [str(text) for text in _words()[key]]


def say_pictures(count: int) -> str:
    """“1 picture”, “9 pictures”."""
    return str(_words()["pictures"]["one" if count == 1 else "many"]).format(count=count)


def say_place(place: int) -> str:
    """“third”, “number 14”: a place in a line, from 1."""
    ordinals = _words()["ordinals"]
    return str(ordinals[place - 1]) if place <= len(ordinals) else say("ordinal", place=place)


def say_time(seconds: float) -> str:
    """“3 s”, “4 min”: never less than a second, rounded up."""
    if seconds < 100:
        return say("seconds", count=max(1, math.ceil(seconds)))
    return say("minutes", count=math.ceil(seconds / 60))


@cache
def _words() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))

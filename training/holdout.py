"""Which combinations of thing and attribute pocket must never see in training.

Knows nothing of drawings, captions or models: one hash that generator, suite and tests share.
"""

import tomllib
from functools import cache
from hashlib import sha256
from pathlib import Path

THINGS_FILE = Path(__file__).with_name("things.toml")
HELD_OUT_PER_THOUSAND = 90


@cache
def things() -> dict[str, dict[str, list[str]]]:
    """The class table: section ("everyday", "rarer") -> word -> names of its drawings."""
    return tomllib.loads(THINGS_FILE.read_text(encoding="utf-8"))


@cache
def _word_of_name() -> dict[str, str]:
    tables = things().values()
    by_name = {name: word for table in tables for word, names in table.items() for name in names}
    return by_name | {word: word for table in tables for word in table}


def word_for(thing: str) -> str:
    """The class word of a drawing's name ("cat face" -> "cat"); an unknown name is its own word."""
    thing = thing.lower()
    return _word_of_name().get(thing, thing)


def is_held_out(thing: str, attribute: str) -> bool:
    """Whether no caption may join this thing with this attribute: about 9 % of all pairs.

    thing: a drawing's CLDR name or the everyday word a caption uses for it. Pictures of one thing
    ("cat", "cat face") answer alike, else a held-out cat would be learnt from its head.
    attribute: the plain word of a colour ("red"), scene ("space"), style or filter ("pixel art").
    """
    key = f"{word_for(thing)}|{attribute.lower()}"
    return int.from_bytes(sha256(key.encode()).digest()[:8]) % 1000 < HELD_OUT_PER_THOUSAND

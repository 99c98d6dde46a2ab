"""What the drawings are called: Unicode's names, everyday aliases and keywords of every kept emoji.

Knows nothing of pictures or of the sets they come in; reads emojibase-data, emojilib and
unicode-emoji-json from a node_modules folder.
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DROPPED_GROUPS = {"flags", "component", ""}
DROPPED_SUBGROUPS = {
    "family", "person-symbol", "hair-style", "skin-tone", "transport-sign", "arrow", "religion",
    "zodiac", "av-symbol", "gender", "math", "punctuation", "currency", "other-symbol", "keycap",
    "alphanum", "warning",
}  # fmt: skip
DROPPED_NAMES = re.compile(
    r"o[’']clock|thirty$|^regional|keycap|japanese .*button|middle finger"
)  # the last one because nobody should get it by accident
SHORTCODES = ("emojibase", "cldr", "github", "joypixels", "iamcal")


@dataclass(frozen=True)
class Concept:
    """One emoji as a thing that can be drawn and asked for; all words lower case but `emoji`."""

    key: str
    emoji: str
    name: str
    aliases: list[str]
    keywords: list[str]
    group: str
    subgroup: str
    gender: float | None


@dataclass(frozen=True)
class Concepts:
    """The kept emoji by `code_key`, and every name a set may call one by, as slug -> key."""

    by_key: dict[str, Concept]
    key_by_slug: dict[str, str]

    def named(self, icon: str) -> str | None:
        """The key of the concept an icon's file name means, or None; sets differ in habits."""
        bare = re.sub(r"-tone\d$", "", icon)
        candidates = (
            bare,
            re.sub(r"-\d$", "", bare),
            f"{bare}-face",
            bare.removesuffix("-face"),
            bare.replace("-", ""),
            bare.removeprefix("person-"),
        )
        return next((self.key_by_slug[c] for c in candidates if c in self.key_by_slug), None)


def code_key(hexcode: str) -> str:
    """ "2764_FE0F" or "2764" -> "2764": one spelling for a code sequence, no variation selector."""
    parts = hexcode.lower().strip().replace("_", "-").split("-")
    return "-".join(part.lstrip("0") or "0" for part in parts if part != "fe0f")


def slug(text: str) -> str:
    """ "Man’s shoe" -> "mans-shoe"."""
    plain = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.replace("'", "")).strip("-")


def read_json(path: Path) -> Any:
    """Parsed JSON of a file; raises FileNotFoundError where npm has not put it."""
    return json.loads(path.read_text(encoding="utf-8"))


def load(node_modules: Path) -> Concepts:
    """All kept concepts in Unicode's order: the general form comes before its variants."""
    emojibase = node_modules / "emojibase-data"
    groups = read_json(emojibase / "meta" / "groups.json")
    shortcodes = [
        read_json(path)
        for name in SHORTCODES
        if (path := emojibase / "en" / "shortcodes" / f"{name}.json").exists()
    ]
    library = _without_selectors(read_json(node_modules / "emojilib/dist/emoji-en-US.json"))
    unicode_names = _without_selectors(
        read_json(node_modules / "unicode-emoji-json/data-by-emoji.json")
    )

    found: list[Concept] = []
    slugs: dict[str, tuple[str, int]] = {}
    for entry in read_json(emojibase / "en" / "data.json"):
        group = groups["groups"].get(str(entry.get("group")), "")
        subgroup = groups["subgroups"].get(str(entry.get("subgroup")), "")
        label: str = entry["label"]
        if group in DROPPED_GROUPS or subgroup in DROPPED_SUBGROUPS or DROPPED_NAMES.search(label):
            continue
        key, emoji = code_key(entry["hexcode"]), entry["emoji"].replace("\ufe0f", "")
        codes = [code for table in shortcodes for code in _listed(table.get(entry["hexcode"], []))]
        other: list[str] = library.get(emoji, [])
        tags = [*entry.get("tags", []), *(word.replace("_", " ") for word in other)]
        found.append(
            Concept(
                key=key,
                emoji=entry["emoji"],
                name=label.lower(),
                aliases=_aliases([*codes, *other[:1]], label),
                keywords=_keywords(tags, label),
                group=group,
                subgroup=subgroup,
                gender=entry.get("gender"),
            )
        )
        unicode_name = [unicode_names[emoji]["name"]] if emoji in unicode_names else []
        for rank, name in enumerate([label, *codes, *unicode_name, *other[:1]]):
            for form in (slug(name), slug(name).replace("-", "")):
                # a label beats a nickname of another emoji; else the first to claim a name has it
                if form and (form not in slugs or (rank == 0 and slugs[form][1] > 0)):
                    slugs[form] = (key, rank)

    labels = {concept.name for concept in found}
    for concept in found:
        # an alias that is another picture's name would teach the wrong thing
        concept.aliases[:] = [alias for alias in concept.aliases if alias not in labels]
    return Concepts(
        by_key={concept.key: concept for concept in found},
        key_by_slug={form: key for form, (key, _) in slugs.items()},
    )


def _without_selectors(table: dict[str, Any]) -> dict[str, Any]:
    return {emoji.replace("\ufe0f", ""): value for emoji, value in table.items()}


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _aliases(codes: list[str], label: str) -> list[str]:
    """Short everyday names (car, coffee, phone), at most five."""
    plain = (re.sub(r"\d+$", "", re.sub(r"[_-]", " ", code).lower()).strip() for code in codes)
    kept = [a for a in plain if a != label.lower() and re.fullmatch(r"[a-z][a-z ']{1,28}", a)]
    return list(dict.fromkeys(kept))[:5]


def _keywords(tags: list[str], label: str) -> list[str]:
    """Words that belong to the thing, at most sixteen."""
    plain = (tag.strip().lower() for tag in tags)
    kept = [w for w in plain if w != label and re.fullmatch(r"[a-z0-9][a-z0-9 '\-]{1,24}", w)]
    return list(dict.fromkeys(kept))[:16]

"""Which words of a prompt a model has seen in training, and what it knows instead.

Knows names only, no tokens: a small model draws something for any word, and people should be told
when it is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_LITTLE_WORDS = frozenset(
    "a an the of in on at and or with by to for from is are it its as some my your".split()  # noqa: SIM905
)


class Vocabulary:
    """Names and other words that a model has seen.

    Args:
        known: names of things, lower case: `cat`, `fire engine`.
        words: other words of its captions: `red`, `three`, `sketch`.
    """

    def __init__(self, known: Iterable[str], words: Iterable[str]) -> None:
        self._known = sorted(known)
        self._words = {word for text in (*self._known, *words) for word in _split(text)}

    def unknown(self, text: str) -> list[str]:
        """Words of a normalised text that the model has never seen, in order, once each.

        Empty if nobody knows what the model has seen.
        """
        if not self._known:
            return []
        seen = self._words | _LITTLE_WORDS
        words = dict.fromkeys(_split(text))
        return [word for word in words if not (seen & _forms(word)) and not word.isdecimal()]

    def nearest(self, word: str, count: int = 3) -> list[str]:
        """Known names like a word: part of it (`chair` of `armchair`), or spelt alike."""
        within = [name for name in self._known if len(name) > 3 and name in word]
        alike = get_close_matches(word, self._known, n=count, cutoff=0.75)
        return list(dict.fromkeys([*within, *alike]))[:count]

    def note(self, model: str, text: str) -> str | None:
        """A sentence for the person, None if every word is known."""
        unknown = self.unknown(text)
        if not unknown:
            return None
        if len(unknown) > 1:
            words = ", ".join(f"“{word}”" for word in unknown[:5])
            return f"{model} has never seen the words {words}. It will guess."
        sentence = f"{model} has never seen the word “{unknown[0]}”. It will guess."
        if nearest := self.nearest(unknown[0]):
            sentence += f" It knows {' and '.join(nearest)}."
        return sentence


def _split(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def _forms(word: str) -> set[str]:
    """The word and what it may be the plural of."""
    forms = {word}
    if word.endswith("s"):
        forms |= {word[:-1], word.removesuffix("es")}
    if word.endswith("ies"):
        forms.add(word[:-3] + "y")
    return forms

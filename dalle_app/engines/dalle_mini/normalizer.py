"""Text as DALL-E mini's training data was written: ASCII, lower case, commas for punctuation.

Knows no tokens and no models. Every step and their order follow `src/dalle_mini/model/text.py` of
https://github.com/borisdayma/dalle-mini (Boris Dayma et al., Apache License 2.0), whose own outputs
stand in `tests/data/normalized.jsonl`. Two steps differ, because nothing here may be random or
fetched: a lone `<person>` always reads “a person”, and wordninja's word list splits hashtags.
"""

from __future__ import annotations

import html
import re

import emoji
import ftfy
from unidecode import unidecode

# Punctuation that is to stay waits behind letters while all the rest becomes commas.
_KEPT = {".": "xtokxdotxtokx", "'": "xtokxquotextokx", "/": "xtokxslashxtokx"}


def normalize(text: str) -> str:
    """“The #sunsetbeach café, 1,000 toys!” -> “ the sunset beach cafe, 1000 toys”.

    Returns:
        ASCII with one space before the first word, as the tokenizer was trained; a space alone
        where nothing is left.
    """
    text = _ascii(text)
    text = _without_markup(text)
    text = _guard_numbers_and_contractions(text)
    text = re.sub(r"(\w)-(\w)", r"\1 \2", text)
    text = re.sub(r"([%&/$*])", r" \1 ", text)
    text = re.sub(r"#(\w+)", _split_hashtag, text)
    text = re.sub(r"[_#\\]", " ", text)
    text = re.sub(r"""['"`]""", ' " ', text)
    text = re.sub(r"[()[\].,|:;?!=+~\-/{}]", ",", text)
    for mark, guard in _KEPT.items():
        text = text.replace(guard, mark)
    return f" {_merge_repeats(text)}"


def _ascii(text: str) -> str:
    """Mojibake mended, HTML entities read, emoji named, other scripts romanised, lower case."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    # Emoji first: unidecode would drop them.
    return unidecode(emoji.demojize(text)).lower()


def _without_markup(text: str) -> str:
    """What captions from the web bring along: anonymised people, references, tags, addresses."""
    text = re.sub(r"<person>([,\s]*(and)*[,\s]*<person>)+", " people ", text)
    text = text.replace("<person>", " a person ")
    text = re.sub(r"\A\s*\[\d+\]", "", text)
    text = re.sub(r"\[\d+\]\s*\Z", "", text)
    text = re.sub(r"<[^<]+?>", " ", text)
    return re.sub(r"http\S+", "", text)


def _guard_numbers_and_contractions(text: str) -> str:
    """“1,000,000” loses its commas; “2.5”, “it's” and “1/2” keep their marks."""
    for _ in range(2):
        text = re.sub(r"(\d),(\d{3})", r"\1\2", text)
    text = re.sub(r"(\w)\.(\w)", rf"\1{_KEPT['.']}\2", text)
    text = re.sub(r"'(?=([stdm]|(ll)|(re)|(ve)|(ll))\b)", _KEPT["'"], text)
    return re.sub(r"(\d)/(\d)", rf"\1{_KEPT['/']}\2", text)


def _split_hashtag(match: re.Match[str]) -> str:
    import wordninja  # loads its word list when imported; few prompts have a hashtag

    return " ".join(wordninja.split(match.group(1)))


def _merge_repeats(text: str) -> str:
    """Four times the same character or more is one (not three: “viii”), so is a row of commas."""
    text = re.sub(r"(\D)(\1{3,})", r"\1", text)
    text = re.sub(r'(\s*"+\s*)+', ' " ', text)
    text = re.sub(r"(\s*,+\s*)+", ", ", text)
    text = re.sub(r"\s+", " ", text).strip()
    return text.removesuffix(",").removeprefix(",").strip()

"""What a model reads of a prompt: normalised, in tokens, and which part did not fit.

Knows nothing of networks. `NORMALIZERS` is the one place where checkpoints differ in how they
read; the tokens are byte-level BPE as BART's for all of them.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from dalle_app.engines.dalle_mini.checkpoint import AGAIN, Checkpoint
from dalle_app.engines.dalle_mini.normalizer import normalize
from dalle_app.errors import CheckpointError, InvalidRequest

START, PAD, END, UNKNOWN = "<s>", "<pad>", "</s>", "<unk>"
MASK = "<mask>"  # BART's file may list it behind all others; no prompt ever needs it

_BYTES = 256
_SPARE = 0.02  # share of a model's tokens that its files may lack: rounding up, made-up words


@dataclass(frozen=True, slots=True)
class Reading:
    """What the model sees of a text.

    Attributes:
        text: after normalising.
        tokens: from `<s>` to `</s>`, no padding.
        pieces: the part of `text` that each token between those two stands for; the tokens of one
            character, “é” say, have it together at the first of them.
        dropped: the end of `text` for which there was no room; mostly empty.
    """

    text: str
    tokens: tuple[int, ...]
    pieces: tuple[str, ...]
    dropped: str


class TextReader:
    """Reads prompts for one checkpoint.

    Args:
        vocab, merges: files of a byte-level BPE, in BART's formats.
        normalizer: a key of `NORMALIZERS`.
        length: most tokens that the model takes, `<s>` and `</s>` among them.
        size: tokens that the model has embeddings for.

    Raises:
        CheckpointError: the files are damaged or belong to another model.
    """

    def __init__(self, vocab: Path, merges: Path, normalizer: str, length: int, size: int) -> None:
        if normalizer not in NORMALIZERS:
            raise CheckpointError(
                f"{vocab.parent} wants its text normalised as {normalizer!r}, which this version "
                "cannot do."
            )
        self._normalize = NORMALIZERS[normalizer]
        self._length = length
        self._tokenizer = _bpe(vocab, merges, size)

    def read(self, text: str) -> Reading:
        """Normalise a text and cut it into tokens; `</s>` is kept however long it is.

        A text without a word is `<s></s>`, which the model knows as “whatever you like”.
        """
        normal = self._normalize(text).rstrip()
        encoding = self._tokenizer.encode(normal)
        room = self._length - 2
        start = encoding.offsets[room][0] if len(encoding.ids) > room else len(normal)
        pieces = _pieces(normal, encoding.offsets[:room])
        return Reading(normal, (0, *encoding.ids[:room], 2), pieces, normal[start:].strip())

    def read_prompt(self, text: str) -> Reading:
        """`read`, for a text that must say something.

        Raises:
            InvalidRequest: nothing is left that the model could have met in training.
        """
        reading = self.read(text)
        letters = unicodedata.normalize("NFKD", reading.text)
        if not any(letter.isascii() and letter.isalnum() for letter in letters):
            raise InvalidRequest(
                "prompt",
                "This model reads English only, and finds no letter that it knows in the prompt. "
                "Say it in English, “a blue harp”.",
            )
        return reading


def _bpe(vocab: Path, merges: Path, size: int) -> Tokenizer:
    """A byte-level BPE as BART's, for a model of `size` tokens; its files are checked."""
    for path in (vocab, merges):
        with path.open("rb") as stream:
            if stream.read(256).lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
                raise CheckpointError(
                    f"{path} is a web page, not a vocabulary: the download went wrong. {AGAIN}"
                )
    try:
        known, pairs = models.BPE.read_file(str(vocab), str(merges))
    except Exception as error:  # tokenizers raises nothing narrower
        raise CheckpointError(
            f"{vocab} or {merges} is damaged. Delete both and fetch them again."
        ) from error
    numbers = [number for token, number in known.items() if token != MASK]
    special = [known.get(token) for token in (START, PAD, END, UNKNOWN)]
    spare = math.ceil(size * _SPARE)
    if special != [0, 1, 2, 3] or max(numbers) >= size or len(numbers) < size - spare:
        raise CheckpointError(
            f"{vocab} belongs to another model: it has {len(numbers):,} tokens, and this one has "
            f"{size:,}. Put this model's own file there, or delete it and fetch it again."
        )
    # Every token but bytes and a few that no text has, such as <s>, is made of two others.
    made = {first + second for first, second in pairs}
    strange = made.union(*pairs) - known.keys()
    if strange or len(known.keys() - made) > _BYTES + spare:
        raise CheckpointError(
            f"{merges} is cut short or belongs to another model: it makes "
            f"{len(made - strange):,} of the {len(known):,} tokens in {vocab.name}. {AGAIN}"
        )
    tokenizer = Tokenizer(models.BPE(known, pairs, unk_token=UNKNOWN))
    # A space before the first word too, so that a word is the same token wherever it stands.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return tokenizer


def _pieces(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """The text between offsets, no character twice."""
    pieces, seen = [], 0
    for first, last in offsets:
        pieces.append(text[max(first, seen) : last])
        seen = max(seen, last)
    return tuple(pieces)


def reader_of(checkpoint: Checkpoint) -> TextReader:
    """The reader that a checkpoint asks for. Reads its vocabulary's two files.

    Raises:
        CheckpointError: they are missing, damaged or belong to another model.
    """
    text, folder = checkpoint.text, checkpoint.folder
    vocab, merges = folder / text.vocab_file, folder / text.merges_file
    return TextReader(vocab, merges, text.normalizer, text.length, text.vocab)


def lowercase(text: str) -> str:
    """pocket's: emoji by their names, composed, lower case, single spaces."""
    return " ".join(unicodedata.normalize("NFC", _named_emoji(text)).lower().split())


NORMALIZERS: dict[str, Callable[[str], str]] = {"lowercase": lowercase, "dalle-mini": normalize}


def _named_emoji(text: str) -> str:
    """“🐱” -> “ cat face ”; other texts as they are."""
    if text.isascii():
        return text
    from emoji import replace_emoji  # a large table, wanted by few prompts

    return replace_emoji(text, lambda _, data: f" {data['en'].strip(':').replace('_', ' ')} ")

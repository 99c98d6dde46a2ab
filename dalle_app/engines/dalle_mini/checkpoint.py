"""Checkpoints as data: what a model's sizes are, which files it needs, where they are.

Knows no torch and reads no weights, so that the page can list models at once. Each checkpoint is a
folder with a `checkpoint.json`: `pocket` has its weights beside it; `mini` and `mega` name files in
the models folder, laid out as the min_dalle package lays out its `pretrained/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dalle_app.errors import CheckpointError

BUNDLED = Path(__file__).parent / "checkpoints"
AGAIN = "Delete it and fetch it again."  # a wrong file in the way would never be fetched anew


@dataclass(frozen=True, slots=True)
class TextSizes:
    """How a checkpoint reads: `vocab` tokens, at most `length` of them, after `normalizer`.

    Files are paths below the checkpoint's folder; sources their names in the published repository.
    """

    vocab: int
    length: int
    normalizer: str
    vocab_file: str = "vocab.json"
    merges_file: str = "merges.txt"
    vocab_source: str = ""
    merges_source: str = ""


@dataclass(frozen=True, slots=True)
class TransformerSizes:
    """Layers, width of the hidden state, attention heads, width inside the gated units."""

    encoder_layers: int
    decoder_layers: int
    width: int
    heads: int
    glu_width: int


@dataclass(frozen=True, slots=True)
class ImageSizes:
    """What a picture is made of.

    Attributes:
        codes: codes 0 … codes−1 may be drawn.
        grid: tokens along a side.
        start_token: what the decoder reads before the first token.
        pixels: along a side, as the detokenizer paints it.
        vocab: rows of the head less one; mega's has a few that are never drawn. 0 means `codes`.
    """

    codes: int
    grid: int
    start_token: int
    pixels: int
    vocab: int = 0

    @property
    def tokens(self) -> int:
        """Tokens in a picture, which is also the steps to draw it."""
        return self.grid**2


@dataclass(frozen=True, slots=True)
class Sampling:
    """The checkpoint's own sampling, for requests that do not say."""

    temperature: float
    top_k: int
    guidance: float


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of weights.

    Attributes:
        name: path below the checkpoint's folder.
        part: `encoder`, `decoder` or `detokenizer` where the file holds one part's state dict;
            empty where tensor names start with the part.
        source: its name in the published repository, where that differs.
        bytes, sha256: what it must measure; None where the publisher's figures are not known.
    """

    name: str
    part: str = ""
    source: str = ""
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One model of the family, described.

    Attributes:
        folder: where its files are or will be.
        size: bytes of its files together; for published ones, of their weights in float32.
        download: bytes to fetch, 0 where nothing is: the published files hold the transformer as
            float16, and the detokenizer as float32.
        source: the published repository, None for weights that come with the program.
        detokenizer: `kind` (`pocket` or `vqgan`) and that kind's own sizes.
        prompts: what it draws well, for examples and placeholders.
        known: names that it has seen in training; empty where nobody knows.
        words: other words that it has seen (colours, places, counts).
    """

    name: str
    summary: str
    licence: str
    source: str | None
    folder: Path
    size: int
    download: int
    text: TextSizes
    transformer: TransformerSizes
    image: ImageSizes
    detokenizer: Mapping[str, Any]
    sampling: Sampling
    files: tuple[WeightFile, ...]
    prompts: tuple[str, ...] = ()
    known: frozenset[str] = field(default=frozenset(), repr=False)
    words: frozenset[str] = field(default=frozenset(), repr=False)

    def sources(self) -> dict[Path, str]:
        """Where each file belongs, and its name in the published repository; empty for none."""
        text = self.text
        files = [(text.vocab_file, text.vocab_source), (text.merges_file, text.merges_source)]
        files += [(file.name, file.source) for file in self.files]
        return {self.folder / name: source for name, source in files}

    def missing(self) -> list[Path]:
        """Files that are not there."""
        return [path for path in self.sources() if not path.is_file()]

    @property
    def state(self) -> str:
        """For the page, in a few words: `ready`, or what would have to be fetched."""
        if not self.missing():
            return "ready"
        return f"{self.download / 1e9:.1f} GB, not fetched"


def read_checkpoint(description: Path, models_dir: Path) -> Checkpoint:
    """Read a `checkpoint.json`.

    Args:
        description: the JSON file.
        models_dir: where fetched weights are; those of a checkpoint without a source are beside
            the description.

    Raises:
        CheckpointError: not readable, or a value is missing or of the wrong kind.
    """
    try:
        values = json.loads(description.read_text(encoding="utf-8"))
        beside = description.parent
        files = tuple(WeightFile(**file) for file in values["files"])
        seen = _words(beside / "words.json")
        return Checkpoint(
            name=values["name"],
            summary=values["summary"],
            licence=values["licence"],
            source=values["source"],
            folder=models_dir if values["source"] else beside,
            size=values.get("size") or sum(file.bytes or 0 for file in files),
            download=values.get("download", 0),
            text=TextSizes(**values["text"]),
            transformer=TransformerSizes(**values["transformer"]),
            image=ImageSizes(**values["image"]),
            detokenizer=dict(values["detokenizer"]),
            sampling=Sampling(**values["sampling"]),
            files=files,
            prompts=tuple(values["prompts"]),
            known=frozenset(seen.get("known", ())),
            words=frozenset(seen.get("words", ())),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{description.parent.name}/{description.name} cannot be used "
            f"({type(error).__name__}: {error}). Restore it from the program's own copy."
        ) from error


def checkpoints(models_dir: Path, folder: Path = BUNDLED) -> dict[str, Checkpoint]:
    """Every checkpoint below a folder, by name; the one that comes with its weights first."""
    found = [read_checkpoint(path, models_dir) for path in sorted(folder.glob("*/checkpoint.json"))]
    found.sort(key=lambda checkpoint: (checkpoint.source is not None, checkpoint.size))
    return {checkpoint.name: checkpoint for checkpoint in found}


def _words(path: Path) -> dict[str, list[str]]:
    if not path.is_file():
        return {}
    words: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return words

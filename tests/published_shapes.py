"""Random weights of exactly the published names, shapes and form, to prove the path to the real.

PYTHONPATH=. python tests/published_shapes.py mega /tmp/models
DALLE_MODELS_DIR=/tmp/models make run
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import torch
from published_form import converted, save_converted
from random_checkpoint import randomize, write_tokenizer
from tokenizers import pre_tokenizers

from dalle_app.engines.dalle_mini.checkpoint import checkpoints
from dalle_app.engines.dalle_mini.package import VQGanDetokenizer, transformer

BART = 50264  # tokens of BART's vocabulary before its <mask>; mega has a few rows more


def write_published(name: str, models_dir: Path) -> int:
    """Write all files of `mini` or `mega` in the package's layout. Returns their bytes."""
    checkpoint = checkpoints(models_dir)[name]
    write_bart_like(
        models_dir / checkpoint.text.vocab_file, models_dir / checkpoint.text.merges_file
    )
    torch.manual_seed(0)
    with torch.device("meta"):
        parts = transformer(checkpoint.text, checkpoint.transformer, checkpoint.image)
    *transformer_files, detokenizer_file = (models_dir / file.name for file in checkpoint.files)
    for path, part in zip(transformer_files, parts, strict=True):
        part.requires_grad_(False).half().to_empty(device="cpu")  # in float32 mega is 10 GB
        randomize(part)
        save_converted(part, path)
        part.to("meta")
    detokenizer_file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(VQGanDetokenizer().state_dict(), detokenizer_file)
    return sum(path.stat().st_size for path in checkpoint.sources())


def write_hollow(name: str, models_dir: Path) -> dict[str, bytes]:
    """The files of `mini` or `mega` as far as can be seen without reading their weights.

    Every tensor has its published name and shape, and all its elements are one zero, so that the
    files are small.

    Returns:
        Their contents by their names on the hub.
    """
    checkpoint = checkpoints(models_dir)[name]
    write_bart_like(
        models_dir / checkpoint.text.vocab_file, models_dir / checkpoint.text.merges_file
    )
    with torch.device("meta"):
        parts = transformer(checkpoint.text, checkpoint.transformer, checkpoint.image)
        tensors = [*map(converted, parts), VQGanDetokenizer().state_dict()]
    for file, shapes in zip(checkpoint.files, tensors, strict=True):
        hollow = {key: torch.zeros((), dtype=t.dtype).expand(t.shape) for key, t in shapes.items()}
        path = models_dir / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(hollow, path)
    return {source: path.read_bytes() for path, source in checkpoint.sources().items()}


def write_bart_like(vocab: Path, merges: Path) -> None:
    """A byte-level BPE of BART's size: a few words learnt, all other merges made up."""
    write_tokenizer(vocab.parent)
    tokens: dict[str, int] = json.loads(vocab.read_text(encoding="utf-8"))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    with merges.open("a", encoding="utf-8") as lines:
        for first, second in itertools.product(letters, letters):
            if len(tokens) == BART:
                break
            if first + second not in tokens:
                tokens[first + second] = len(tokens)
                lines.write(f"{first} {second}\n")
    vocab.write_text(json.dumps({**tokens, "<mask>": BART}), encoding="utf-8")


if __name__ == "__main__":
    print(f"{write_published(sys.argv[1], Path(sys.argv[2])):,} bytes")

"""Random weights of exactly the published names and shapes, to prove the path to the real ones.

PYTHONPATH=. python tests/published_shapes.py mega /tmp/models
DALLE_MODELS_DIR=/tmp/models make run
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from random_checkpoint import random_transformer, write_tokenizer

from dalle_app.engines.dalle_mini.checkpoint import checkpoints
from dalle_app.engines.dalle_mini.package import VQGanDetokenizer


def write_published(name: str, models_dir: Path) -> int:
    """Write all files of `mini` or `mega` in the package's layout. Returns their bytes."""
    checkpoint = checkpoints(models_dir)[name]
    folder = models_dir / checkpoint.text.vocab_file
    write_tokenizer(folder.parent)
    vocab = json.loads(folder.read_text())
    fillers = {f"<{number}>": number for number in range(len(vocab), checkpoint.text.vocab)}
    folder.write_text(json.dumps(vocab | fillers))
    transformer = random_transformer(
        checkpoint.text, checkpoint.transformer, checkpoint.image, seed=0
    )
    modules = (*transformer, VQGanDetokenizer())
    for file, module in zip(checkpoint.files, modules, strict=True):
        path = models_dir / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(module.state_dict(), path)
    return sum(path.stat().st_size for path in checkpoint.sources())


if __name__ == "__main__":
    print(f"{write_published(sys.argv[1], Path(sys.argv[2])):,} bytes")

"""Writes what was trained as the checkpoint folder that the application ships.

    python -m training.export

It does not judge: sampling defaults and example prompts are kept from the folder it replaces.
"""

import argparse
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from dalle_app.engines.dalle_mini.checkpoint import BUNDLED
from training import RUNS
from training.compositions import Composer
from training.picture_tokenizer import PictureTokenizer, load_tokenizer
from training.sprites import PIXELS, SPRITES, Sprite, load_sprites
from training.teacher_forcing import Transformer, load_transformer

SHARD_BYTES = 9_800_000  # hubs ask for large-file storage from 10 MB on
SUMMARY = "Our own small model: everyday things, as emoji artists draw them"
LICENCE = "MIT; learnt from drawings under MIT, Apache-2.0 and CC-BY-4.0, see ATTRIBUTION.md"
SAMPLING = {"temperature": 0.7, "top_k": 16, "guidance": 2.0}  # the model card says why
PROMPTS = (
    "a blue harp", "a penguin", "a red apple", "a rocket", "a purple octopus", "a blue car",
    "a sunflower", "a burger", "a butterfly", "a robot", "a green heart",
    "a neon sign of a guitar", "a strawberry on a light blue background",
)  # fmt: skip


def tensors(tokenizer: PictureTokenizer, transformer: Transformer) -> dict[str, Tensor]:
    """Everything that ships, float16, named by part: encoder., decoder., detokenizer."""
    parts = {
        "encoder": transformer.encoder,
        "decoder": transformer.decoder,
        "detokenizer": tokenizer.detokenizer,
    }
    return {
        f"{part}.{name}": tensor.to("cpu", torch.float16).contiguous()
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }


def shards(named: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The tensors in order, cut so that no shard is larger than SHARD_BYTES."""
    cut: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in named.items():
        if cut[-1] and size + tensor.nbytes > SHARD_BYTES:
            cut.append({})
            size = 0
        cut[-1][name] = tensor
        size += tensor.nbytes
    return cut


def write_weights(named: dict[str, Tensor], folder: Path) -> list[dict[str, Any]]:
    """Write weights-*.safetensors in place of those that are there. -> the `files` entries."""
    for old in folder.glob("weights-*.safetensors"):
        old.unlink()
    cut, files = shards(named), []
    for number, shard in enumerate(cut, start=1):
        path = folder / f"weights-{number:05d}-of-{len(cut):05d}.safetensors"
        content = save(shard)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files.append({"name": path.name, "bytes": len(content), "sha256": digest})
    return files


def words(sprites: list[Sprite]) -> dict[str, list[str]]:
    """known: what things are called in captions; words: whatever else captions say."""
    composer, rng = Composer(sprites), np.random.default_rng(0)
    known = composer.words()
    said: set[str] = set()
    for _ in range(20_000):
        for caption in composer.compose(rng).captions:
            said |= set(re.findall(r"[a-z0-9]+", caption))
    return {"known": known, "words": sorted(said - set(known))}


def description(tokenizer: dict[str, Any], sizes: dict[str, int], folder: Path) -> dict[str, Any]:
    """checkpoint.json but for its files, from the sizes of picture tokenizer and transformer."""
    paint = dict(tokenizer)
    codes, grid = paint.pop("codes"), paint.pop("grid")
    before: dict[str, Any] = {}
    if (folder / "checkpoint.json").exists():
        before = json.loads((folder / "checkpoint.json").read_text())
    kept = ("encoder_layers", "decoder_layers", "width", "heads", "glu_width")
    return {
        "name": "pocket",
        "summary": SUMMARY,
        "licence": LICENCE,
        "source": None,
        "text": {
            "vocab": sizes["text_vocab"],
            "length": sizes["text_length"],
            "normalizer": "lowercase",
        },
        "transformer": {name: sizes[name] for name in kept},
        "image": {"codes": codes, "grid": grid, "start_token": codes, "pixels": PIXELS},
        "detokenizer": {"kind": "pocket", **paint},
        "sampling": before.get("sampling", SAMPLING),
        "prompts": before.get("prompts", list(PROMPTS)),
    }


def export(
    vqgan: Path, transformer: Path, tokenizer: Path, sprites: list[Sprite], folder: Path
) -> None:
    """Write the whole checkpoint folder from three runs."""
    folder.mkdir(parents=True, exist_ok=True)
    painter, writer = load_tokenizer(vqgan), load_transformer(transformer)
    made = description(painter.sizes, writer.sizes, folder)
    made["files"] = write_weights(tensors(painter, writer), folder)
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(tokenizer / name, folder / name)
    (folder / "words.json").write_text(json.dumps(words(sprites), ensure_ascii=False) + "\n")
    text = json.dumps(made, indent=2, ensure_ascii=False)
    (folder / "checkpoint.json").write_text(text + "\n")


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--vqgan", type=Path, default=RUNS / "vqgan")
    parser.add_argument("--transformer", type=Path, default=RUNS / "transformer")
    parser.add_argument("--tokenizer", type=Path, default=RUNS / "tokenizer")
    parser.add_argument("--sprites", type=Path, default=SPRITES)
    parser.add_argument("--out", type=Path, default=BUNDLED / "pocket")
    options = parser.parse_args()
    sprites = load_sprites(options.sprites)
    export(options.vqgan, options.transformer, options.tokenizer, sprites, options.out)


if __name__ == "__main__":
    main()

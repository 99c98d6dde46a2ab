"""Small random checkpoints in either layout, whose pictures depend on everything they should.

Not a fake of the engine: the engine loads these as it loads any weights.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from published_form import save_converted
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import nn

from dalle_app.engines.dalle_mini.checkpoint import ImageSizes, TextSizes, TransformerSizes
from dalle_app.engines.dalle_mini.detokenizer import PocketDetokenizer
from dalle_app.engines.dalle_mini.package import (
    DalleBartDecoder,
    DalleBartEncoder,
    VQGanDetokenizer,
    transformer,
)

SENTENCES = ["a red cat", "a blue harp", "three dogs on a green background", "a drawing of a house"]


def random_transformer(
    text: TextSizes, sizes: TransformerSizes, image: ImageSizes, seed: int
) -> tuple[DalleBartEncoder, DalleBartDecoder]:
    """The package's modules, with weights large enough that what was drawn before matters."""
    torch.manual_seed(seed)
    encoder, decoder = transformer(text, sizes, image)
    for module in (encoder, decoder):
        randomize(module)
        module.requires_grad_(False).eval()
    return encoder, decoder


def randomize(module: nn.Module) -> None:
    """Draw an encoder's or a decoder's weights, from torch's global generator."""
    for name, parameter in module.named_parameters():
        if parameter.dim() == 1:  # layer norms; larger ones make every layer matter
            nn.init.normal_(parameter, 1.0 if name.endswith("weight") else 0.0, 0.3)
        elif "embed" in name:
            nn.init.normal_(parameter, 0.0, 1.0)
        else:  # sharp attention, and logits that spread over a few units
            nn.init.normal_(parameter, 0.0, 2.0 * parameter.shape[1] ** -0.5)


def write_pocket_like(folder: Path, *, seed: int = 0, **changes: Any) -> Path:
    """A checkpoint laid out as pocket's, far smaller. Returns its `checkpoint.json`.

    Args:
        changes: entries of the description to replace.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocab = write_tokenizer(folder)
    text = TextSizes(vocab=vocab, length=16, normalizer="lowercase")
    sizes = TransformerSizes(encoder_layers=1, decoder_layers=2, width=32, heads=4, glu_width=48)
    image = ImageSizes(codes=128, grid=8, start_token=128, pixels=128)
    encoder, decoder = random_transformer(text, sizes, image, seed)
    painting = {"code_width": 8, "widths": [16, 16, 8, 8], "blocks": [1, 1, 1, 1], "heads": 2}
    detokenizer = PocketDetokenizer(codes=image.codes, grid=image.grid, **painting)
    tensors = {
        f"{part}.{name}": tensor.half().contiguous()
        for part, module in [
            ("encoder", encoder),
            ("decoder", decoder),
            ("detokenizer", detokenizer),
        ]
        for name, tensor in module.state_dict().items()
    }
    weights = folder / "weights-00001-of-00001.safetensors"
    save_file(tensors, weights)
    (folder / "words.json").write_text(
        json.dumps({"known": ["cat", "harp", "chair", "dog"], "words": ["red", "blue", "three"]})
    )
    description = {
        "name": folder.name,
        "summary": "Random weights.",
        "licence": "MIT",
        "source": None,
        "text": {"vocab": vocab, "length": 16, "normalizer": "lowercase"},
        "transformer": asdict(sizes),
        "image": asdict(image),
        "detokenizer": {"kind": "pocket", **painting},
        "sampling": {"temperature": 1.0, "top_k": 64, "guidance": 2.0},
        "files": [
            {
                "name": weights.name,
                "bytes": weights.stat().st_size,
                "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            }
        ],
        "prompts": SENTENCES[:2],
        **changes,
    }
    path = folder / "checkpoint.json"
    path.write_text(json.dumps(description))
    return path


def write_tokenizer(folder: Path, merges: int = 24) -> int:
    """`vocab.json` and `merges.txt` of a small byte-level BPE; returns how many tokens it has."""
    folder.mkdir(parents=True, exist_ok=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=4 + len(alphabet) + merges,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.train_from_iterator(SENTENCES * 4, trainer)
    tokenizer.model.save(str(folder))
    return tokenizer.get_vocab_size()


def write_package_like(
    folder: Path,
    *,
    seed: int = 0,
    vocab: int = 16384,
    normalizer: str = "lowercase",
    width: int = 32,
    layers: int = 2,
) -> Path:
    """A checkpoint in the published layout and form, narrow but with the published image codes.

    The detokenizer's sizes are fixed in the package, so that its 47 million weights are written.

    Returns:
        Its `description/checkpoint.json`; the files are in `models` beside `description`.
    """
    models, beside = folder / "models", folder / "description"
    (models / "vqgan").mkdir(parents=True, exist_ok=True)
    beside.mkdir(exist_ok=True)
    size = write_tokenizer(models / "dalle_bart_narrow")
    text = TextSizes(vocab=size + 4, length=64, normalizer=normalizer)
    sizes = TransformerSizes(layers, layers, width=width, heads=4, glu_width=width + 8)
    image = ImageSizes(codes=16384, grid=16, start_token=16384, pixels=256, vocab=vocab)
    encoder, decoder = random_transformer(text, sizes, image, seed)
    save_converted(encoder, models / "dalle_bart_narrow" / "encoder.pt")
    save_converted(decoder, models / "dalle_bart_narrow" / "decoder.pt")
    torch.save(VQGanDetokenizer().state_dict(), models / "vqgan" / "detoker.pt")
    names = {"encoder": "dalle_bart_narrow", "decoder": "dalle_bart_narrow", "detoker": "vqgan"}
    description = {
        "name": "narrow",
        "summary": "Random weights in the published layout.",
        "licence": "MIT",
        "source": "nobody/nothing",
        "size": 100_000_000,
        "download": 95_000_000,
        "text": {
            **asdict(text),
            "vocab_file": "dalle_bart_narrow/vocab.json",
            "merges_file": "dalle_bart_narrow/merges.txt",
        },
        "transformer": asdict(sizes),
        "image": asdict(image),
        "detokenizer": {"kind": "vqgan"},
        "sampling": {"temperature": 1.0, "top_k": 256, "guidance": 4.0},
        "files": [
            {"name": f"{where}/{part}.pt", "part": part.replace("detoker", "detokenizer")}
            for part, where in names.items()
        ],
        "prompts": SENTENCES[:1],
    }
    path = beside / "checkpoint.json"
    path.write_text(json.dumps(description))
    return path

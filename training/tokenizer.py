"""Trains the text tokens: a byte-level BPE on captions, written as vocab.json and merges.txt.

    python -m training.tokenizer

It does not know pictures, nor how the application reads a prompt with these files.
"""

import argparse
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from training import RUNS
from training.compositions import Composer
from training.sprites import SPRITES, Sprite, load_sprites

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]  # 0, 1, 2, 3, as in BART
VOCABULARY = 1280
COMPOSITIONS = 30_000  # whose captions are read


def captions(sprites: list[Sprite], count: int, rng: np.random.Generator) -> list[str]:
    """Captions of that many compositions, and once whatever else the sets say of a drawing."""
    composer = Composer(sprites)
    lines = [caption for _ in range(count) for caption in composer.compose(rng).captions]
    for sprite in sprites:
        lines += [sprite.name, *sprite.aliases, *sprite.keywords]
    return [line.lower() for line in lines]


def train(lines: list[str], folder: Path, size: int) -> None:
    """Write vocab.json and merges.txt for a vocabulary of at most `size` tokens."""
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[3]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.model.save(str(folder))


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sprites", type=Path, default=SPRITES)
    parser.add_argument("--run", type=Path, default=RUNS / "tokenizer")
    options = parser.parse_args()
    sprites = load_sprites(options.sprites)
    lines = captions(sprites, COMPOSITIONS, np.random.default_rng(0))
    train(lines, options.run, VOCABULARY)


if __name__ == "__main__":
    main()

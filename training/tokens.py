"""Encodes the drawn compositions once: tokens-*.npz, with the tokens of pictures and captions.

    python -m training.tokens

It does not know the transformer that reads them. Shards that exist are kept.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from dalle_app.engines.dalle_mini.text import TextReader
from training import DATA, RUNS
from training.picture_tokenizer import PictureTokenizer, load_tokenizer
from training.run_folder import DEVICE

TEXT_LENGTH = 32
PAD = 1
BATCH = 250


def text_reader(folder: Path) -> TextReader:
    """The application's own reader, on the vocabulary of a tokenizer run."""
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    if not (vocab.exists() and merges.exists()):
        raise SystemExit(f"No vocabulary in {folder}. Run python -m training.tokenizer first.")
    size = len(json.loads(vocab.read_text(encoding="utf-8")))
    return TextReader(vocab, merges, normalizer="lowercase", length=TEXT_LENGTH, size=size)


def text_tokens(reader: TextReader, captions: list[str]) -> NDArray[np.int16]:
    """int16 [captions, TEXT_LENGTH]: from `<s>` to `</s>`, then padding."""
    rows = np.full((len(captions), TEXT_LENGTH), PAD, np.int16)
    for row, caption in zip(rows, captions, strict=True):
        tokens = reader.read(caption).tokens
        row[: len(tokens)] = tokens
    return rows


@torch.no_grad()
def image_tokens(model: PictureTokenizer, pictures: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """uint8 [n, h, w, 3] -> uint16 [n, grid²]."""
    found = []
    for start in range(0, len(pictures), BATCH):
        batch = torch.from_numpy(np.array(pictures[start : start + BATCH])).to(DEVICE)
        with torch.autocast(DEVICE, torch.bfloat16):
            tokens = model.tokens(batch.permute(0, 3, 1, 2).float() / 255)
        found.append(tokens.cpu().numpy().astype(np.uint16))
    return np.concatenate(found)


def encode_shard(model: PictureTokenizer, reader: TextReader, pictures: Path) -> None:
    """Beside pictures-0007.npy and compositions-0007.jsonl, write tokens-0007.npz."""
    name = pictures.stem.removeprefix("pictures-")
    goal = pictures.with_name(f"tokens-{name}.npz")
    if goal.exists():
        return
    lines = pictures.with_name(f"compositions-{name}.jsonl").read_text().splitlines()
    captions = [json.loads(line)["captions"] for line in lines]
    first = np.cumsum([0, *map(len, captions)]).astype(np.int32)
    texts = text_tokens(reader, [caption for several in captions for caption in several])
    half = goal.with_name(f"half-{name}.npz")
    images = image_tokens(model, np.load(pictures, mmap_mode="r"))
    np.savez_compressed(half, images=images, texts=texts, first=first)
    half.replace(goal)


@dataclass(frozen=True)
class TokenData:
    """images [n, grid²], texts [captions, TEXT_LENGTH]; picture i owns texts[first[i]] on."""

    images: NDArray[np.uint16]
    texts: NDArray[np.int16]
    first: NDArray[np.int64]

    @classmethod
    def load(cls, folder: Path) -> "TokenData":
        """All shards of a folder as one."""
        shards = []
        for file in sorted(folder.glob("tokens-*.npz")):
            with np.load(file) as packed:
                shards.append({name: packed[name] for name in ("images", "texts", "first")})
        if not shards:
            raise SystemExit(f"No tokens-*.npz in {folder}. Run python -m training.tokens first.")
        owned = np.concatenate([np.diff(shard["first"]) for shard in shards])
        return cls(
            images=np.concatenate([shard["images"] for shard in shards]),
            texts=np.concatenate([shard["texts"] for shard in shards]),
            first=np.concatenate([[0], np.cumsum(owned, dtype=np.int64)]),
        )

    def batches(
        self, size: int, untitled: float, rng: np.random.Generator
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Endless (texts [size, longest], images [size, grid²]): shuffled passes over the pictures.

        Each picture comes with one of its captions by lot, or, for a part of them, `untitled`, with
        none. Raises SystemExit where there are too few pictures for a batch.
        """
        if len(self.images) < size:
            raise SystemExit(
                f"{len(self.images)} pictures are too few for a batch of {size}. "
                "Run python -m training.drawing and training.tokens for more, or lower --batch."
            )
        empty = np.full(TEXT_LENGTH, PAD, np.int16)
        empty[:2] = 0, 2  # <s></s>
        while True:
            order = rng.permutation(len(self.images))
            for start in range(0, len(order) - size + 1, size):
                chosen = order[start : start + size]
                texts = self.texts[rng.integers(self.first[chosen], self.first[chosen + 1])].copy()
                texts[rng.random(size) < untitled] = empty
                longest = int((texts != PAD).sum(1).max())
                yield texts[:, :longest].astype(np.int64), self.images[chosen].astype(np.int64)


def main() -> None:
    """Read the command line and encode what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--vqgan", type=Path, default=RUNS / "vqgan")
    parser.add_argument("--tokenizer", type=Path, default=RUNS / "tokenizer")
    parser.add_argument("--first", type=int, default=0, help="so that processes can share the work")
    parser.add_argument("--shards", type=int, help="how many of them, if not all")
    options = parser.parse_args()
    model = load_tokenizer(options.vqgan)
    reader = text_reader(options.tokenizer)
    shards = sorted(options.data.glob("pictures-*.npy"))[options.first :][: options.shards]
    for pictures in tqdm(shards, unit="shard"):
        encode_shard(model, reader, pictures)


if __name__ == "__main__":
    main()

"""BART's tokenizer written down slowly and plainly, to compare ours with."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import regex


class ReferenceBPE:
    """Byte-level BPE as GPT-2's encoder.py describes it, which BART took over: slow and plain."""

    WORDS = regex.compile(
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    )

    def __init__(self, vocab: Path, merges: Path) -> None:
        self.vocab: dict[str, int] = json.loads(vocab.read_text(encoding="utf-8"))
        lines = merges.read_text(encoding="utf-8").split("\n")[1:-1]
        self.ranks = {tuple(line.split(" ")): rank for rank, line in enumerate(lines)}
        shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
        hidden = [byte for byte in range(256) if byte not in shown]
        self.letters = {byte: chr(byte) for byte in shown}
        self.letters |= {byte: chr(256 + k) for k, byte in enumerate(hidden)}

    def encode(self, text: str) -> list[int]:
        words = self.WORDS.findall(text)
        return [token for word in words for token in self._merge(word.encode("utf-8"))]

    def _merge(self, word: bytes) -> list[int]:
        parts = [self.letters[byte] for byte in word]
        while len(parts) > 1:
            best = min(itertools.pairwise(parts), key=self._rank)
            if best not in self.ranks:
                break
            merged = []
            while parts:
                size = 2 if tuple(parts[:2]) == best else 1
                merged.append("".join(parts[:size]))
                parts = parts[size:]
            parts = merged
        return [self.vocab[part] for part in parts]

    def _rank(self, pair: tuple[str, str]) -> float:
        return self.ranks.get(pair, math.inf)

"""Prompts become the tokens that BART's own algorithm makes of them."""

import itertools
import json
import math
import random
from pathlib import Path

import pytest
import regex
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from dalle_app.engines.dalle_mini.text import NORMALIZERS, TextReader
from dalle_app.errors import CheckpointError

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
DATA = Path(__file__).parent / "data" / "normalized.jsonl"
LENGTH = 64


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


@pytest.fixture(scope="module")
def bart_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """`vocab.json` and `merges.txt` in BART's layout, with 1,200 merges learnt from our table."""
    folder = tmp_path_factory.mktemp("bart")
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=len(SPECIAL) + len(alphabet) + 1200,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(texts(), trainer)
    vocab, merges = (Path(path) for path in tokenizer.model.save(str(folder)))
    ids = json.loads(vocab.read_text(encoding="utf-8"))
    vocab.write_text(json.dumps({**ids, "<mask>": len(ids)}), encoding="utf-8")  # as BART's has it
    return vocab, merges


def texts() -> list[str]:
    """Both sides of the normaliser's table: what people write, and what the model reads."""
    lines = DATA.read_text(encoding="utf-8").splitlines()
    return [text for line in lines for text in json.loads(line)]


def thousand_strings() -> list[str]:
    """Texts of one to nine words from the table, in any script, with any space between them."""
    draw = random.Random(4)
    words = [word for text in texts() for word in text.split()]
    return [
        " "
        + "".join(draw.choice(words) + draw.choice("  \n'-,") for _ in range(draw.randint(1, 9)))
        for _ in range(1000)
    ]


def reader(
    files: tuple[Path, Path], normalizer: str = "dalle-mini", size: int | None = None
) -> TextReader:
    ids = json.loads(files[0].read_text(encoding="utf-8"))
    return TextReader(*files, normalizer, LENGTH, size or len(ids))


def test_a_thousand_strings_have_the_tokens_of_a_plain_bart_tokenizer(
    bart_files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NORMALIZERS, "none", str)  # any script, not only what normalising leaves
    reference, ours = ReferenceBPE(*bart_files), reader(bart_files, "none")
    for text in thousand_strings():
        expected = reference.encode(text.rstrip())
        assert list(ours.read(text).tokens) == [0, *expected[: LENGTH - 2], 2]


def test_what_the_model_reads_is_the_normalised_prompt_in_pieces(
    bart_files: tuple[Path, Path],
) -> None:
    reading = reader(bart_files).read("The #sunsetbeach CAFÉ, 1,000 toys!")
    assert reading.text == " the sunset beach cafe, 1000 toys"
    assert "".join(reading.pieces) == reading.text
    assert len(reading.tokens) == len(reading.pieces) + 2


def test_a_character_of_several_tokens_is_one_piece(bart_files: tuple[Path, Path]) -> None:
    reading = reader(bart_files, "lowercase").read("Ünder 猫")
    assert "".join(reading.pieces) == "ünder 猫"
    assert len(reading.tokens) == len(reading.pieces) + 2


def test_a_long_prompt_keeps_its_end_token_and_says_what_was_dropped(
    bart_files: tuple[Path, Path],
) -> None:
    prompt = " ".join(f"{number} cats" for number in range(60))
    reading = reader(bart_files).read(prompt)
    assert len(reading.tokens) == LENGTH
    assert reading.tokens[-1] == 2
    assert reading.dropped.endswith("59 cats")
    kept = "".join(reading.pieces)
    assert (kept + reading.dropped).replace(" ", "") == prompt.replace(" ", "")


@pytest.mark.parametrize("text", ["", "  \n", "...", "!?"])
def test_a_text_without_words_is_the_unconditional_row(
    bart_files: tuple[Path, Path], text: str
) -> None:
    assert reader(bart_files).read(text).tokens == (0, 2)


def test_a_mask_token_behind_the_embeddings_is_no_fault(bart_files: tuple[Path, Path]) -> None:
    mask = json.loads(bart_files[0].read_text(encoding="utf-8"))["<mask>"]
    assert reader(bart_files, size=mask).read("a cat").tokens


def test_a_vocabulary_larger_than_the_model_is_refused(bart_files: tuple[Path, Path]) -> None:
    with pytest.raises(CheckpointError, match="another model"):
        reader(bart_files, size=1000)

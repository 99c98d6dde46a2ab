"""Prompts become the tokens that BART's own algorithm makes of them."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from published_shapes import write_bart_like
from reference_bpe import ReferenceBPE
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from dalle_app.engines.dalle_mini.checkpoint import BUNDLED, checkpoints
from dalle_app.engines.dalle_mini.text import NORMALIZERS, TextReader, reader_of
from dalle_app.errors import CheckpointError

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
DATA = Path(__file__).parent / "data" / "normalized.jsonl"
LENGTH = 64


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


@pytest.fixture(scope="module")
def bart_sized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models folder with vocabularies of BART's size for mini and mega."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("mini", "mega"):
        checkpoint = checkpoints(folder)[name]
        write_bart_like(folder / checkpoint.text.vocab_file, folder / checkpoint.text.merges_file)
    return folder


@pytest.mark.parametrize("name", ["pocket", "mini", "mega"])
def test_every_models_own_vocabulary_is_accepted(bart_sized: Path, name: str) -> None:
    assert reader_of(checkpoints(bart_sized)[name]).read("a cat").tokens[0] == 0


def shorten(path: Path, share: float) -> None:
    """Keep the beginning of a file's lines."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[: int(len(lines) * share)]), encoding="utf-8")


def shrink(path: Path, share: float) -> None:
    """Keep the first tokens of a vocabulary."""
    ids = json.loads(path.read_text(encoding="utf-8"))
    kept = {token: number for token, number in ids.items() if number < len(ids) * share}
    path.write_text(json.dumps(kept), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "sentence", "file"),
    [
        (
            lambda v, m: shutil.copy(BUNDLED / "pocket/vocab.json", v),
            r"belongs to another model: it has 1,280 tokens, and this one has 50,264",
            "vocab.json",
        ),
        (lambda v, m: shutil.copy(BUNDLED / "pocket/merges.txt", m), "another model", "merges.txt"),
        (lambda v, m: m.write_bytes(b""), "is cut short", "merges.txt"),
        (lambda v, m: shorten(m, 0.5), "is cut short", "merges.txt"),
        (lambda v, m: shorten(m, 0.9), "is cut short", "merges.txt"),
        (lambda v, m: v.write_bytes(b"\n<!DOCTYPE html><p>404"), "is a web page", "vocab.json"),
        (lambda v, m: m.write_bytes(b"<html><p>404"), "is a web page", "merges.txt"),
        (lambda v, m: v.write_bytes(v.read_bytes()[:9999]), "is damaged", "vocab.json"),
        (lambda v, m: v.write_bytes(b"{}"), "another model: it has 0", "vocab.json"),
        (
            lambda v, m: (shrink(v, 0.5), m.write_bytes(b"#version: 0.2\n")),
            "belongs to another model: it has 25,",
            "vocab.json",
        ),
    ],
    ids=[
        "pocket's vocabulary",
        "pocket's merges",
        "no merges",
        "half the merges",
        "most merges",
        "a web page for a vocabulary",
        "a web page for merges",
        "cut vocabulary",
        "no vocabulary",
        "half the vocabulary",
    ],
)
def test_a_wrong_tokenizer_is_refused_with_the_files_path(
    bart_sized: Path,
    tmp_path: Path,
    spoil: Callable[[Path, Path], object],
    sentence: str,
    file: str,
) -> None:
    shutil.copytree(bart_sized, tmp_path, dirs_exist_ok=True)
    mini = checkpoints(tmp_path)["mini"]
    spoil(tmp_path / mini.text.vocab_file, tmp_path / mini.text.merges_file)
    with pytest.raises(CheckpointError, match=sentence) as caught:
        reader_of(mini)
    assert f"{tmp_path / 'dalle_bart_mini' / file}" in str(caught.value)
    assert "fetch" in str(caught.value)

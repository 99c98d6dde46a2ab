"""What reaches the networks of mini and mega is what reached them in training."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from random_checkpoint import write_package_like
from reference_bpe import ReferenceBPE

from dalle_app.engines.dalle_mini.checkpoint import checkpoints, read_checkpoint
from dalle_app.engines.dalle_mini.decoder import DecoderState, Row
from dalle_app.engines.dalle_mini.device import Device
from dalle_app.engines.dalle_mini.drawing import draw
from dalle_app.engines.dalle_mini.model import Model, load_model
from dalle_app.request import ImageRequest

START = 16384
PAD = 1


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("trained")
    description = write_package_like(folder, normalizer="dalle-mini")
    checkpoint = read_checkpoint(description, folder / "models")
    return load_model(checkpoint, Device("cpu", "for a test"), "float32")


@pytest.fixture(scope="module")
def bart(model: Model) -> ReferenceBPE:
    text, folder = model.checkpoint.text, model.checkpoint.folder
    return ReferenceBPE(folder / text.vocab_file, folder / text.merges_file)


@dataclass
class Seen:
    """What a drawing gave to the networks until its first token was drawn."""

    rows: list[Row] = field(default_factory=list)
    texts: list[list[int]] = field(default_factory=list)
    first: list[int] = field(default_factory=list)


@pytest.fixture
def seen(model: Model, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    seen = Seen()
    init, advance = DecoderState.__init__, DecoderState.advance

    def watched_init(self: DecoderState, *args: object) -> None:
        seen.rows.extend(args[2])
        init(self, *args)

    def watched_advance(self: DecoderState, previous: torch.Tensor, step: int) -> torch.Tensor:
        seen.first.extend(previous.tolist())
        return advance(self, previous, step)

    def watched_encoder(_: torch.nn.Module, args: tuple[torch.Tensor]) -> None:
        seen.texts.extend(args[0].tolist())

    monkeypatch.setattr(DecoderState, "__init__", watched_init)
    monkeypatch.setattr(DecoderState, "advance", watched_advance)
    hook = model.encoder.register_forward_pre_hook(watched_encoder)
    yield seen
    hook.remove()


def draw_one_token(model: Model, prompt: str, negative: str = "") -> None:
    request = ImageRequest(prompt, seed=1, count=1, model="narrow", negative_prompt=negative)
    with closing(draw(model, request)) as snapshots:
        next(snapshots)


def original(text: str) -> str:
    """What the original's own code made of a text."""
    table = Path(__file__).parent / "data" / "normalized.jsonl"
    lines = table.read_text(encoding="utf-8").splitlines()
    return dict(json.loads(line) for line in lines)[text]


def without_padding(texts: list[list[int]]) -> list[tuple[int, ...]]:
    return [tuple(token for token in text if token != PAD) for text in texts]


@pytest.mark.parametrize(
    "prompt", ["café", "Привет, кот", "#sunsetbeach", "cat’s 1,000 toys", "a\nb"]
)
def test_a_prompt_reaches_the_model_as_in_training(
    model: Model, bart: ReferenceBPE, seen: Seen, prompt: str
) -> None:
    expected = (0, *bart.encode(original(prompt)), 2)
    draw_one_token(model, prompt)
    assert [row.text for row in seen.rows] == [expected]
    assert [row.unguided for row in seen.rows] == [(0, 2)]
    assert seen.first == [START]
    assert without_padding(seen.texts) == [(0, 2), expected]


def test_guidance_leads_away_from_the_negative_prompts_tokens(
    model: Model, bart: ReferenceBPE, seen: Seen
) -> None:
    draw_one_token(model, "café", "Привет, кот")
    away = (0, *bart.encode(original("Привет, кот")), 2)
    assert [row.unguided for row in seen.rows] == [away]
    assert away in without_padding(seen.texts)


def test_a_long_prompt_keeps_its_end_and_leaves_guidance_from_the_empty_prompt(
    model: Model, seen: Seen
) -> None:
    draw_one_token(model, "cat’s 1,000 toys " * 20)
    [row] = seen.rows
    assert (len(row.text), row.text[-1], row.unguided) == (64, 2, (0, 2))


@pytest.mark.parametrize("name", ["mini", "mega"])
def test_the_shipped_descriptions_ask_for_it(name: str) -> None:
    shipped = checkpoints(Path("nowhere"))[name]
    assert (shipped.text.normalizer, shipped.image.start_token) == ("dalle-mini", START)

"""Every stage of `make pocket`, a few steps each, on a dozen drawings made here; then a picture."""

import importlib
import io
import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image, ImageDraw

from dalle_app.engines.dalle_mini.checkpoint import BUNDLED, read_checkpoint
from dalle_app.engines.dalle_mini.decoder import Row
from dalle_app.engines.dalle_mini.device import Device
from dalle_app.engines.dalle_mini.model import Model, load_model
from training import (
    curves,
    drawing,
    export,
    filters,
    measures,
    scenes,
    tokenizer,
    tokens,
    transformer,
    vqgan,
)
from training.compositions import (
    BACKGROUNDS,
    COLOURS,
    FILTERS,
    SCENES,
    Composer,
    Composition,
    Figure,
)
from training.holdout import is_held_out
from training.picture_tokenizer import load_tokenizer
from training.run_folder import RunFolder, stop_gently
from training.sprites import PIXELS, Sprite, load_pixels, load_sprites
from training.teacher_forcing import Transformer, load_transformer

NAMES = ("cat face", "dog face", "red apple", "automobile", "house", "rose")
SETS = ("noto", "fluent-3d")
VQGAN_SIZES = {
    "codes": 32, "grid": 8, "code_width": 4, "widths": [32, 16, 16, 8], "blocks": [1, 1, 1, 1],
    "heads": 4,
}  # fmt: skip
TRANSFORMER_SIZES = {  # the captions of six things give 505 text tokens
    "text_vocab": 512, "text_length": 32, "codes": 32, "encoder_layers": 1,
    "decoder_layers": 2, "width": 32, "heads": 4, "glu_width": 32,
}  # fmt: skip


def webp(number: int) -> bytes:
    picture = Image.new("RGBA", (PIXELS, PIXELS))
    box = (20, 10 + 5 * number, 100, 110)
    ImageDraw.Draw(picture).ellipse(box, fill=(20 * number, 200 - 15 * number, 90, 255))
    packed = io.BytesIO()
    picture.save(packed, "WEBP", lossless=True)
    return packed.getvalue()


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawings of six things, with the columns that `build_sprites` writes."""
    pairs = [(name, owner) for name in NAMES for owner in SETS]
    rows = [
        {
            "set": owner, "name": name, "names": [name], "aliases": [f"little {name}"],
            "keywords": ["nice"], "group": "objects", "subgroup": "tool", "emoji": "x",
            "webp": webp(number),
        }
        for number, (name, owner) in enumerate(pairs)
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("sprites") / "sprites.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


@pytest.fixture(scope="module")
def sprites(parquet: Path) -> list[Sprite]:
    return load_sprites(parquet)


def stages_of_make_pocket() -> list[str]:
    makefile = Path(__file__).parents[1] / "Makefile"
    loop = re.search(r"for stage in (.+?); do", makefile.read_text(encoding="utf-8"))
    assert loop
    return loop[1].split()


@pytest.fixture(scope="module")
def trained(parquet: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The commands of `make pocket`, in its order: folders by the name of what lies in them."""
    root = tmp_path_factory.mktemp("pocket")
    at = {name: root / name for name in ("data", "tokenizer", "vqgan", "transformer", "pocket")}
    data, sprites = ["--data", at["data"]], ["--sprites", parquet]
    texts, pictures = ["--tokenizer", at["tokenizer"]], ["--vqgan", at["vqgan"]]
    options = {
        "drawing": [*sprites, *data, "--shards", 2, "--size", 24],
        "tokenizer": [*sprites, "--run", at["tokenizer"]],
        "vqgan": [*data, "--run", at["vqgan"], "--steps", 4, "--batch", 4],
        "tokens": [*data, *pictures, *texts],
        "transformer": [*data, "--run", at["transformer"], "--steps", 3, "--batch", 8],
        "export": [
            *sprites, *pictures, *texts, "--transformer", at["transformer"], "--out", at["pocket"],
        ],
    }  # fmt: skip
    handler = signal.getsignal(signal.SIGTERM)  # the long stages set their own
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer, "COMPOSITIONS", 200)
        patch.setattr(vqgan, "SIZES", VQGAN_SIZES)
        patch.setattr(transformer, "SIZES", TRANSFORMER_SIZES)
        for stage in stages_of_make_pocket():
            patch.setattr(sys, "argv", [stage, *map(str, options.pop(stage))])
            importlib.import_module(f"training.{stage}").main()
    signal.signal(signal.SIGTERM, handler)
    assert not options
    return at


@pytest.fixture(scope="module")
def model(trained: dict[str, Path]) -> Model:
    checkpoint = read_checkpoint(trained["pocket"] / "checkpoint.json", models_dir=Path())
    return load_model(checkpoint, Device("cpu", "a test"), "float32")


def test_what_was_trained_draws_a_picture_in_the_engine(model: Model) -> None:
    text = model.reader.read("a red apple").tokens
    row = Row(text, (0, 2), seed=1, index=0, temperature=1.0, top_k=8, guidance=2.0)
    *_, drawn = model.decode([row])
    assert drawn.shape == (1, 64)
    assert drawn.max() < VQGAN_SIZES["codes"]
    (picture,) = model.painter.paint(drawn)
    assert picture.size == (256, 256)
    assert np.asarray(picture).std() > 0


def test_the_commands_defaults_describe_the_shipped_checkpoint(tmp_path: Path) -> None:
    shipped = json.loads((BUNDLED / "pocket" / "checkpoint.json").read_text(encoding="utf-8"))
    del shipped["files"]
    assert export.description(vqgan.SIZES, transformer.SIZES, tmp_path) == shipped


def test_the_exported_weights_are_the_trained_averages_in_half_precision(
    trained: dict[str, Path], model: Model
) -> None:
    average = load_transformer(trained["transformer"])
    wanted = average.decoder.lm_head.weight.half().float()
    assert torch.equal(model.decoder.lm_head.weight, wanted)


def test_a_stage_goes_on_where_it_was_stopped(trained: dict[str, Path]) -> None:
    run = RunFolder(trained["transformer"])
    data = tokens.TokenData.load(trained["data"])
    transformer.train(data, run, TRANSFORMER_SIZES, steps=5, batch=8, rate=1e-3)
    state = run.load()
    assert state is not None
    assert state["step"] == 5
    lines = (run.path / "log.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == [0]


@pytest.fixture
def stoppable() -> Iterator[None]:
    """SIGTERM as in the long stages; afterwards it is what it was."""
    handler = signal.getsignal(signal.SIGTERM)
    stop_gently()
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.usefixtures("stoppable")
def test_a_stage_that_is_stopped_saves_first(
    trained: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "run")
    monkeypatch.setattr(run, "save_is_due", lambda minutes: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit, match="saved at step 1 of 9"):
        vqgan.train(trained["data"], run, VQGAN_SIZES, steps=9, batch=4, rate=1e-3)
    state = run.load()
    assert state is not None
    assert state["step"] == 1


def test_a_shard_that_exists_is_not_drawn_again(
    trained: dict[str, Path], sprites: list[Sprite]
) -> None:
    drawn = trained["data"] / "pictures-0000.npy"
    before = drawn.stat().st_mtime_ns
    nobody = drawing.Drawer(np.zeros((0, PIXELS, PIXELS, 4), np.uint8))
    drawing.draw_shard(Composer(sprites), nobody, trained["data"], number=0, size=24)
    assert drawn.stat().st_mtime_ns == before


def test_a_run_gets_its_loss_curve(trained: dict[str, Path]) -> None:
    with Image.open(curves.draw(trained["vqgan"], "pixels")) as picture:
        assert picture.format == "PNG"


def test_teacher_forcing_gives_the_logits_of_the_packages_own_decoder() -> None:
    torch.manual_seed(3)
    ours = Transformer(TRANSFORMER_SIZES)
    ours.start_afresh()
    texts = torch.tensor([[0, 2, 1, 1, 1, 1], [0, 7, 9, 11, 5, 2]])
    inputs = torch.randint(32, (1, 64))
    inputs[:, 0] = ours.start_token
    padded = torch.ones(2, TRANSFORMER_SIZES["text_length"], dtype=torch.long)
    padded[:, :6] = texts
    with torch.no_grad():
        at_once = ours(texts, inputs.expand(2, -1))
        read = ours.encoder(padded)
        state = torch.zeros(2, 4, 256, TRANSFORMER_SIZES["width"])
        mask = padded.not_equal(1)[:, None, None, :]
        for place in range(64):
            index = torch.tensor([place])
            logits, state = ours.decoder(mask, read, state, inputs[:, place, None], index)
            assert torch.allclose(logits[:, 0, :32], at_once[:, place], atol=1e-4)


def test_the_judge_looks_for_the_grounds_that_are_painted() -> None:
    assert {"white": drawing.WHITE, **BACKGROUNDS} == measures.GROUNDS


def test_no_composition_joins_what_is_held_out(sprites: list[Sprite]) -> None:
    composer, rng = Composer(sprites), np.random.default_rng(5)
    made = [composer.compose(rng) for _ in range(3000)]
    pairs = {pair for composition in made for pair in composition.pairs}
    assert len(pairs) > 100
    assert not [pair for pair in pairs if is_held_out(*pair)]


def test_the_same_seed_composes_and_draws_the_same(parquet: Path, sprites: list[Sprite]) -> None:
    drawer = drawing.Drawer(load_pixels(parquet))

    def draw() -> tuple[list[Composition], Any]:
        composer, rng = Composer(sprites), np.random.default_rng(9)
        made = [composer.compose(rng) for _ in range(20)]
        return made, np.stack([drawer.draw(composition) for composition in made])

    (first, one), (second, other) = draw(), draw()
    assert first == second
    assert np.array_equal(one, other)


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_is_painted_edge_to_edge(scene: str) -> None:
    picture = np.asarray(scenes.paint(scene, np.random.default_rng(1)))
    assert picture.shape == (PIXELS, PIXELS, 3)
    assert picture.std() > 10


@pytest.mark.parametrize("style", FILTERS)
def test_every_filter_keeps_something_of_the_figure(style: str) -> None:
    figure = Image.new("RGBA", (PIXELS, PIXELS))
    ImageDraw.Draw(figure).ellipse((30, 30, 98, 98), fill=(200, 40, 40, 255))
    picture = np.asarray(filters.apply(style, figure, np.random.default_rng(1))).astype(float)
    rest = filters.apply(style, Image.new("RGBA", figure.size), np.random.default_rng(1))
    assert np.abs(picture - np.asarray(rest)).mean() > 1


@pytest.mark.parametrize("colour", [name for name in COLOURS if name not in ("white", "gray")])
def test_a_repainted_drawing_has_the_colour(parquet: Path, colour: str) -> None:
    figure = Figure(sprite=3, colour=colour)
    composition = Composition("coloured", (figure,), ("a thing",))
    centre = drawing.Drawer(load_pixels(parquet)).draw(composition)[60, 60].astype(int)
    distances = {name: np.abs(centre - rgb).sum() for name, rgb in COLOURS.items()}
    assert min(distances, key=distances.__getitem__) == colour


@pytest.mark.parametrize(
    ("load", "stage"),
    [
        (tokens.text_reader, "training.tokenizer"),
        (load_tokenizer, "training.vqgan"),
        (load_transformer, "training.transformer"),
        (tokens.TokenData.load, "training.tokens"),
    ],
)
def test_a_missing_stage_is_named(load: Callable[[Path], Any], stage: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=stage):
        load(tmp_path / "nothing")
    assert not list(tmp_path.iterdir())


def test_too_few_pictures_for_a_batch_are_refused(trained: dict[str, Path]) -> None:
    data = tokens.TokenData.load(trained["data"])
    with pytest.raises(SystemExit, match="48 pictures are too few for a batch of 49"):
        next(data.batches(49, 0.1, np.random.default_rng(0)))


def test_a_curve_of_what_was_not_logged_is_refused(trained: dict[str, Path]) -> None:
    with pytest.raises(SystemExit, match="It has: step, codes, pixels"):
        curves.draw(trained["vqgan"], "loss")
    with pytest.raises(SystemExit, match="It has: nothing"):
        curves.draw(trained["data"], "loss")


def test_shards_stay_below_ten_megabytes_and_lose_nothing() -> None:
    named = {str(number): torch.zeros(1_000_000, dtype=torch.float16) for number in range(11)}
    cut = export.shards(named)
    assert max(sum(tensor.nbytes for tensor in shard.values()) for shard in cut) < 10_000_000
    assert [name for shard in cut for name in shard] == list(named)

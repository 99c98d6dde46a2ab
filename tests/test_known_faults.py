"""Faults D1 to D14 of the min_dalle package, as read in its source: we have none of them.

D1  its start needs the network               D8   drops what is not ASCII, splits at spaces only
D2  a broken download poisons the folder      D9   its cache is float32 and unbounded
D3  seeds 0 and -1 are random, and global     D10  temperature 0 and a huge top-k fail inside
D4  its grid runs column by column            D11  importing it changes torch's settings
D5  pictures come as floats up to 255         D12  warnings, and pickles that may run code
D6  a preview can end the drawing             D13  no way to stop
D7  a long prompt spoils the guidance         D14  not safe between threads
"""

import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import last, pixels
from random_checkpoint import write_pocket_like

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, read_checkpoint
from dalle_app.engines.dalle_mini.decoder import DecoderState, Row
from dalle_app.engines.dalle_mini.device import Device
from dalle_app.engines.dalle_mini.drawing import CACHE_BYTES, largest_batch
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.engines.dalle_mini.model import Model, load_model
from dalle_app.errors import CheckpointError, InvalidRequest
from dalle_app.grid import grid_image
from dalle_app.request import ImageRequest
from dalle_app.settings import Settings

HARP = ImageRequest("a blue harp", seed=7, count=4, model="tiny")


@pytest.fixture(scope="module")
def model(tiny: Checkpoint) -> Model:
    return load_model(tiny, Device("cpu", "for a test"), "float32")


@pytest.fixture(scope="module")
def engine(tiny: Checkpoint) -> Iterator[LocalEngine]:
    engine = LocalEngine(Settings(device="cpu"), {"tiny": tiny})
    yield engine
    engine.close()


def test_d1_start_and_drawing_need_no_network(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("something wants the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    engine = LocalEngine(Settings(device="cpu"), {"tiny": tiny})
    assert last(engine, HARP).final
    engine.close()


def test_d2_a_file_that_is_not_whole_is_refused_not_loaded(tmp_path: Path) -> None:
    broken = read_checkpoint(write_pocket_like(tmp_path / "broken"), tmp_path)
    path = broken.folder / broken.files[0].name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="Delete it and fetch it again"):
        load_model(broken, Device("cpu", "for a test"), "float32")


def test_d3_seeds_are_kept_and_the_global_generator_is_left_alone(engine: LocalEngine) -> None:
    torch.manual_seed(99)
    before = torch.get_rng_state()
    first, again = (last(engine, replace(HARP, seed=0)) for _ in range(2))
    assert np.array_equal(pixels(first), pixels(again))
    assert torch.get_rng_state().equal(before)
    unsettled = last(engine, replace(HARP, seed=None))
    assert unsettled.images[0].recipe.request.seed is not None
    with pytest.raises(InvalidRequest):
        replace(HARP, seed=-1)


def test_d4_the_grid_runs_row_by_row(engine: LocalEngine) -> None:
    images = last(engine, HARP).images
    grid = grid_image([image.picture for image in images], 2)
    for k, image in enumerate(images):
        row, column = divmod(k, 2)
        box = (256 * column, 256 * row, 256 * column + 256, 256 * row + 256)
        assert np.array_equal(grid.crop(box), image.picture)


def test_d5_pictures_are_pictures(engine: LocalEngine, tmp_path: Path) -> None:
    picture = last(engine, HARP).images[0].picture
    assert (picture.mode, picture.size) == ("RGB", (256, 256))
    picture.save(tmp_path / "harp.png")


def test_d6_drawing_goes_on_after_a_preview(engine: LocalEngine) -> None:
    snapshots = list(engine.generate(HARP))
    assert any(snapshot.images and not snapshot.final for snapshot in snapshots)
    assert snapshots[-1].final


def test_d7_a_long_prompt_keeps_its_end_and_leaves_the_guidance_alone(
    engine: LocalEngine, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Row] = []
    init = DecoderState.__init__

    def watched(self: DecoderState, *args: object) -> None:
        rows.extend(args[2])
        init(self, *args)

    monkeypatch.setattr(DecoderState, "__init__", watched)
    snapshot = last(engine, replace(HARP, prompt="a red cat " * 20, count=1))
    assert len(rows[0].text) == model.checkpoint.text.length
    assert (rows[0].text[0], rows[0].text[-1]) == (0, 2)
    assert rows[0].unguided == (0, 2)
    assert any("too long" in note for note in snapshot.notes)


def test_d8_line_breaks_part_words_and_an_unreadable_prompt_draws_nothing(
    engine: LocalEngine, model: Model
) -> None:
    assert model.reader.read("a\nred\tcat").tokens == model.reader.read("a red cat").tokens
    with pytest.raises(InvalidRequest, match="English"):
        last(engine, replace(HARP, prompt="Привет, кот"))


def test_d9_the_cache_has_the_models_precision_and_a_bound(tiny: Checkpoint) -> None:
    model = load_model(tiny, Device("cpu", "for a test"), "bfloat16")
    row = Row((0, 7, 2), (0, 2), 5, 0, 1.0, 64, 2.0)
    state = DecoderState(model.encoder, model.decoder, [row, row], 128, 64)
    assert state.keys.dtype == state.values.dtype == torch.bfloat16
    bytes_each = (state.keys.nbytes + state.values.nbytes) // 2
    assert largest_batch(model) == CACHE_BYTES // bytes_each
    mega = replace(tiny.transformer, decoder_layers=24, width=2048)
    grown = replace(tiny, transformer=mega, image=replace(tiny.image, grid=16))
    assert largest_batch(replace(model, checkpoint=grown, precision="float32")) == 10


def test_d10_hostile_sampling_is_refused_or_made_to_fit(engine: LocalEngine) -> None:
    for wrong in ({"temperature": 0.0}, {"temperature": float("nan")}, {"top_k": 0}):
        with pytest.raises(InvalidRequest):
            replace(HARP, **wrong)
    cold = last(engine, replace(HARP, temperature=0.01, top_k=16_384, guidance=100.0))
    assert cold.final
    assert cold.images[0].recipe.request.top_k == 128  # all codes that this model has


def test_d11_importing_and_using_the_engine_leaves_torchs_settings_alone(tmp_path: Path) -> None:
    write_pocket_like(tmp_path / "tiny")
    script = """
import sys
from pathlib import Path
import torch
def settings():
    cudnn = torch.backends.cudnn
    return torch.is_grad_enabled(), torch.get_num_threads(), cudnn.enabled, cudnn.allow_tf32
torch.backends.cudnn.allow_tf32 = False
torch.set_num_threads(1)
before = settings()
from dalle_app.engines.dalle_mini.checkpoint import read_checkpoint
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.request import ImageRequest
from dalle_app.settings import Settings
assert settings() == before, settings()
folder = Path(sys.argv[1])
tiny = read_checkpoint(folder / "tiny" / "checkpoint.json", folder)
engine = LocalEngine(Settings(device="cpu"), {"tiny": tiny})
*_, last = engine.generate(ImageRequest("a blue harp", seed=1, count=1, model="tiny"))
engine.close()
assert settings() == before, settings()
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_d12_drawing_warns_of_nothing(engine: LocalEngine) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert last(engine, HARP).final


def test_d13_a_drawing_stops_where_its_reader_stops(engine: LocalEngine) -> None:
    with closing(engine.generate(replace(HARP, count=9))) as snapshots:
        stopped = next(snapshot for snapshot in snapshots if snapshot.images)
    assert not stopped.final
    assert last(engine, HARP).final


def test_d14_threads_do_not_disturb_each_other(engine: LocalEngine) -> None:
    requests = [replace(HARP, seed=seed, count=2) for seed in range(4)]
    alone = [pixels(last(engine, request)) for request in requests]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda request: pixels(last(engine, request)), requests))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)

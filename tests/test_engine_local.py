"""The local engine, on small random weights, from request to pictures."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import last, pixels
from published_shapes import write_hollow
from random_checkpoint import write_package_like, write_pocket_like

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, checkpoints, read_checkpoint
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.engines.dalle_mini.model import check_files
from dalle_app.errors import CheckpointError, EngineError, InvalidRequest
from dalle_app.request import ImageRequest
from dalle_app.settings import Settings

HARP = ImageRequest("a blue harp", seed=7, count=4, model="tiny")


def start(*family: Checkpoint) -> LocalEngine:
    return LocalEngine(Settings(device="cpu"), {member.name: member for member in family})


@pytest.fixture(scope="module")
def engine(tiny: Checkpoint) -> Iterator[LocalEngine]:
    engine = start(tiny)
    yield engine
    engine.close()


def test_a_prompt_becomes_its_pictures_with_their_recipes(engine: LocalEngine) -> None:
    snapshot = last(engine, HARP)
    assert snapshot.final
    assert [image.recipe.index for image in snapshot.images] == [0, 1, 2, 3]
    for image in snapshot.images:
        assert image.picture.size == (256, 256)
        recipe = image.recipe
        assert (recipe.engine, recipe.device, recipe.precision) == ("dalle_mini", "cpu", "float32")
        assert len(recipe.weights) == 16
        # What was really used is written down, though the request left it to the model.
        assert recipe.request == replace(HARP, temperature=1.0, top_k=64, guidance=2.0)


def test_at_least_four_different_previews_come_before_the_pictures(engine: LocalEngine) -> None:
    seen: list[np.ndarray] = []
    blank: list[float] = []
    for snapshot in engine.generate(HARP):
        if snapshot.images and (not seen or not np.array_equal(seen[-1], pixels(snapshot))):
            seen.append(pixels(snapshot))
            blank.append((seen[-1] == (255, 249, 240)).all(-1).mean())
    assert len(seen) >= 5
    assert blank == sorted(blank, reverse=True), "each shows more than the one before"
    assert blank[0] > 0.5
    assert blank[-1] < 0.05


def test_steps_go_up_to_the_last_and_time_left_down_to_zero(engine: LocalEngine) -> None:
    snapshots = list(engine.generate(HARP))
    steps = [snapshot.step for snapshot in snapshots]
    assert steps == sorted(steps)
    assert [snapshot.final for snapshot in snapshots] == [False] * (len(steps) - 1) + [True]
    assert snapshots[-1].seconds_left == 0.0
    assert all(snapshot.rows == 8 and snapshot.of == 64 for snapshot in snapshots)


def test_a_picture_is_the_same_alone_in_a_grid_and_after_a_restart(
    engine: LocalEngine, tiny: Checkpoint
) -> None:
    nine = pixels(last(engine, replace(HARP, count=9)))
    last(engine, replace(HARP, prompt="three dogs", seed=1))
    one = pixels(last(engine, replace(HARP, count=1)))
    restarted = start(tiny)
    four = pixels(last(restarted, HARP))
    restarted.close()
    assert np.abs(nine[:1] - one).max() <= 1
    assert np.abs(nine[:4] - four).max() <= 1
    assert np.abs(nine[0] - nine[1]).max() > 50


def test_a_recipe_draws_its_picture_again(engine: LocalEngine) -> None:
    image = last(engine, replace(HARP, temperature=0.7, top_k=9, guidance=3.5)).images[2]
    again = last(engine, image.recipe.request).images[2]
    assert np.array_equal(image.picture, again.picture)
    assert again.recipe == image.recipe


def test_seed_0_is_a_seed_like_any_other(engine: LocalEngine) -> None:
    zero = replace(HARP, seed=0)
    assert np.array_equal(pixels(last(engine, zero)), pixels(last(engine, zero)))
    assert not np.array_equal(pixels(last(engine, zero)), pixels(last(engine, HARP)))


def test_a_negative_prompt_changes_the_pictures(engine: LocalEngine) -> None:
    changed = pixels(last(engine, replace(HARP, negative_prompt="a red cat")))
    assert not np.array_equal(changed, pixels(last(engine, HARP)))


def test_emoji_are_read_by_their_names(engine: LocalEngine) -> None:
    emoji = pixels(last(engine, replace(HARP, prompt="🐈")))
    assert np.array_equal(emoji, pixels(last(engine, replace(HARP, prompt="cat"))))


def test_a_word_that_the_model_never_saw_is_named(engine: LocalEngine) -> None:
    notes = last(engine, replace(HARP, prompt="a red armchair")).notes
    assert notes == ("tiny has never seen the word “armchair”. It will guess. It knows chair.",)
    assert last(engine, replace(HARP, prompt="three red chairs")).notes == ()


def test_what_did_not_fit_of_a_long_prompt_is_shown(engine: LocalEngine) -> None:
    notes = last(engine, replace(HARP, prompt="a red cat " * 20)).notes
    assert any("too long for the model" in note for note in notes)


@pytest.mark.parametrize("prompt", ["Привет", "?!", "漢字"])
def test_a_prompt_that_the_model_cannot_read_is_refused(engine: LocalEngine, prompt: str) -> None:
    with pytest.raises(InvalidRequest, match="English"):
        last(engine, replace(HARP, prompt=prompt))


def test_a_model_that_is_not_offered_is_refused(engine: LocalEngine) -> None:
    with pytest.raises(InvalidRequest, match="no local model “huge”"):
        last(engine, replace(HARP, model="huge"))


def test_missing_weights_are_said_with_their_size(tmp_path: Path, tiny: Checkpoint) -> None:
    away = replace(tiny, name="away", folder=tmp_path, download=1_100_000_000)
    engine = start(tiny, away)
    states = {model.name: (model.state, model.usable) for model in engine.models()}
    assert states == {"tiny": ("ready", True), "away": ("1.1 GB, not fetched", False)}
    with pytest.raises(CheckpointError, match=r"not on this machine \(1\.1 GB"):
        last(engine, replace(HARP, model="away"))
    engine.close()


def test_damaged_weights_fail_their_own_requests_only(tmp_path: Path, tiny: Checkpoint) -> None:
    broken = read_checkpoint(write_pocket_like(tmp_path / "broken"), tmp_path)
    path = tmp_path / "broken" / broken.files[0].name
    path.write_bytes(path.read_bytes()[:-100])
    engine = start(broken, tiny)
    with pytest.raises(CheckpointError, match="damaged or not whole"):
        last(engine, replace(HARP, model="broken"))
    assert last(engine, HARP).final
    engine.close()


def test_damaged_weights_are_known_before_they_are_asked_for_and_forgotten_when_replaced(
    tmp_path: Path, tiny: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    broken = read_checkpoint(write_pocket_like(tmp_path / "broken"), tmp_path)
    path = tmp_path / "broken" / broken.files[0].name
    whole = path.read_bytes()
    path.write_bytes(b"<!doctype html>")
    engine = start(broken, tiny)
    states = {model.name: (model.state, model.usable) for model in engine.models()}
    assert states == {"broken": ("damaged", False), "tiny": ("ready", True)}
    [line] = caplog.records
    assert f"broken cannot be used: {path} is a web page" in line.getMessage()
    assert line.exc_info is None
    path.write_bytes(whole)
    assert all(model.usable for model in engine.models())
    assert last(engine, replace(HARP, model="broken")).final
    engine.close()


def test_a_fault_that_only_loading_finds_is_remembered(tmp_path: Path, tiny: Checkpoint) -> None:
    broken = read_checkpoint(write_pocket_like(tmp_path / "broken"), tmp_path)
    path = tmp_path / "broken" / broken.files[0].name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # one weight is another, which the hash alone tells
    path.write_bytes(content)
    engine = start(tiny, broken)
    with pytest.raises(CheckpointError, match="its hash is another"):
        last(engine, replace(HARP, model="broken"))
    states = {model.name: model.usable for model in engine.models()}
    assert states == {"tiny": True, "broken": False}
    engine.close()


def test_files_under_the_published_names_that_are_not_weights_are_told_and_can_be_fetched(
    tmp_path: Path, tiny: Checkpoint
) -> None:
    mini = checkpoints(tmp_path)["mini"]
    write_hollow("mini", tmp_path)
    state, *can = start_and_list(tiny, mini)["mini"]
    assert state.startswith("ready, takes 2.4 GB of memory")
    assert can == [True, False]  # be drawn with, be fetched
    for path in mini.sources():
        path.write_bytes(b"<!doctype html>")
    state, *can = start_and_list(tiny, mini)["mini"]
    assert state.startswith("damaged, fetch it again, takes 2.4 GB of memory")
    assert can == [False, True]


def test_megas_files_in_minis_place_are_told_with_their_path(tmp_path: Path) -> None:
    mini, mega = (checkpoints(tmp_path)[name] for name in ("mini", "mega"))
    for name in ("mini", "mega"):
        write_hollow(name, tmp_path)
    wrong = mini.folder / mini.files[1].name
    wrong.write_bytes((mega.folder / mega.files[1].name).read_bytes())
    with pytest.raises(CheckpointError, match="belong to another model") as caught:
        check_files(mini)
    assert str(wrong) in str(caught.value)


def start_and_list(*family: Checkpoint) -> dict[str, tuple[str, bool, bool]]:
    """State, usable and fetchable of each model, as a fresh start sees them."""
    with closing(start(*family)) as engine:
        return {m.name: (m.state, m.usable, m.fetchable) for m in engine.models()}


def test_the_published_layout_is_read_and_drawn(tmp_path: Path) -> None:
    narrow = read_checkpoint(write_package_like(tmp_path), tmp_path / "models")
    engine = start(narrow)
    request = ImageRequest("a red cat", seed=3, count=1, model="narrow")
    snapshot = last(engine, request)
    engine.close()
    assert snapshot.of == 256
    assert pixels(snapshot).shape == (1, 256, 256, 3)
    assert pixels(snapshot).std() > 1


def test_bfloat16_draws_too_and_the_recipe_says_so(tiny: Checkpoint) -> None:
    engine = LocalEngine(Settings(device="cpu", precision="bfloat16"), {"tiny": tiny})
    snapshot = last(engine, HARP)
    engine.close()
    assert snapshot.final
    assert {image.recipe.precision for image in snapshot.images} == {"bfloat16"}


def test_a_closed_engine_says_so(tiny: Checkpoint) -> None:
    engine = start(tiny)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="shutting down"):
        last(engine, HARP)


def test_a_damaged_description_is_named(tmp_path: Path) -> None:
    path = write_pocket_like(tmp_path / "tiny")
    values = json.loads(path.read_text())
    del values["image"]["grid"]
    path.write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="cannot be used"):
        read_checkpoint(path, tmp_path)

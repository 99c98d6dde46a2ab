"""Pictures from a terminal and from one line of Python, by the real engine on small weights."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from loopback_hub import HTML, loopback_hub
from PIL import Image
from published_shapes import write_hollow

import dalle_app
from dalle_app import generation
from dalle_app.cli import main
from dalle_app.engines.dalle_mini import device as device_module
from dalle_app.engines.dalle_mini.checkpoint import Checkpoint
from dalle_app.engines.dalle_mini.device import Device
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.errors import InvalidRequest
from dalle_app.recipe import Recipe, recipe_from_png, save_picture, save_png
from dalle_app.request import GeneratedImage
from dalle_app.resampling import resample
from dalle_app.settings import Settings


@pytest.fixture
def folder(tiny_pocket: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with the small pocket for a model."""

    def build(settings: Settings) -> LocalEngine:
        return LocalEngine(settings, {"pocket": tiny_pocket})

    monkeypatch.setattr(generation, "build_local_engine", build)
    monkeypatch.setenv("DALLE_DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recipe_of(file: Path) -> Recipe:
    with file.open("rb") as stream:
        return recipe_from_png(stream)


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_the_articles_line_draws_a_grid_into_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("Dogs playing", "--seed", "6", "--grid", "2", "-o", "dogs.png") == 0
    with Image.open(folder / "dogs.png") as grid:
        assert grid.size == (512, 512)
    assert capsys.readouterr().out == "dogs.png\n"


def test_without_a_name_the_file_is_named_after_prompt_and_seed(folder: Path) -> None:
    run("Dogs playing", "--seed", "6")
    assert [file.name for file in folder.glob("*.png")] == ["dogs-playing-seed6.png"]


def test_each_picture_can_have_its_own_file_and_recipe(folder: Path) -> None:
    run("Dogs playing", "--seed", "6", "--grid", "2", "--each", "-o", "dogs.png")
    names = [f"dogs-{k}.png" for k in (1, 2, 3, 4)]
    assert sorted(file.name for file in folder.glob("*.png")) == names
    assert [recipe_of(folder / name).index for name in names] == [0, 1, 2, 3]


@pytest.mark.parametrize("each", [True, False], ids=["one-picture", "the-grid"])
def test_a_recipe_draws_the_same_again(folder: Path, each: bool) -> None:
    run("Dogs playing", "--seed", "6", "--grid", "2", "-o", "dogs.png", *["--each"] * each)
    old = folder / ("dogs-3.png" if each else "dogs.png")
    assert run("--recipe", str(old), "-o", "again.png") == 0
    with Image.open(old) as first, Image.open(folder / "again.png") as second:
        assert first.tobytes() == second.tobytes()
    assert recipe_of(old) == recipe_of(folder / "again.png")


def test_a_recipe_of_other_weights_says_that_pictures_may_differ(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("Dogs playing", "--seed", "6", "-o", "dogs.png")
    run("--recipe", "dogs.png", "-o", "again.png")
    assert "may not be the same" not in capsys.readouterr().err
    recipe = recipe_of(Path("dogs.png"))
    with Image.open("dogs.png") as picture, Path("other.png").open("wb") as stream:
        save_picture(picture, replace(recipe, weights="0" * 16), stream)
    run("--recipe", "other.png", "-o", "again.png")
    assert f"weights {recipe.weights} instead of {'0' * 16}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a cat", "--grid", "9"], "The grid size must be between 1 and 6."),
        ([" "], "The prompt is empty."),
        (["a cat", "--model", "giga"], "giga"),
        (["a cat", "-o", "cat.jpg"], "must end in .png"),
        (["a cat", "-o", "nowhere/cat.png"], "There is no folder nowhere"),
        (["--recipe", "nowhere.png"], "nowhere.png cannot be read"),
        (["a cat", "--recipe", "nowhere.png"], "nowhere.png cannot be read"),
        (["fetch", "pocket"], "“pocket” cannot be fetched. There are: mini, mega."),
    ],
)
def test_what_a_person_can_get_wrong_is_one_sentence_and_status_2(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert run(*words) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert "Traceback" not in shown.err
    assert not shown.out


def test_fetch_brings_a_model_from_the_mirror_that_hf_endpoint_names(tmp_path: Path) -> None:
    files = write_hollow("mini", tmp_path / "hub")
    with loopback_hub("kuprel/min-dalle", files) as hub:
        place = {"HF_ENDPOINT": hub.endpoint, "DALLE_MODELS_DIR": str(tmp_path / "models")}
        ended = terminal("fetch", "mini", **place)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout == f"mini is ready in {tmp_path / 'models'}.\n"
        assert re.search(r"mini: \d+ MB to come, [\d,.]+ GB of disk free", ended.stderr)
    encoder = tmp_path / "models" / "dalle_bart_mini" / "encoder.pt"
    assert encoder.read_bytes() == files["encoder_mini.pt"]
    encoder.write_bytes(HTML)
    ended = terminal("fetch", "mini", **place)  # nobody answers any more, and nobody is asked
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"{encoder} is a web page" in ended.stderr
    assert "Delete it and fetch it again." in ended.stderr


def test_fetch_refuses_what_does_not_fit_where_it_would_draw(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def memory_of(device: Device) -> tuple[int, int]:
        asked.append(device.kind)
        return 10**9, 2 * 10**9

    monkeypatch.setattr(device_module, "memory_of", memory_of)
    assert run("fetch", "mini") == 2
    assert re.search(r"2\.4 GB of memory .* here are 2\.0 GB", capsys.readouterr().err)
    assert asked == ["cpu"]


def test_an_endpoint_that_is_no_address_is_one_sentence(tmp_path: Path) -> None:
    ended = terminal("fetch", "mini", HF_ENDPOINT="nonsense", DALLE_MODELS_DIR=str(tmp_path))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "HF_ENDPOINT is 'nonsense', which is no address" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_bar_goes_to_standard_error_and_the_file_is_whole(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("Dogs playing", "--seed", "6", "-o", "dogs.png")
    shown = capsys.readouterr()
    assert "drawing" in shown.err
    assert "row 8 of 8" in shown.err
    assert shown.out == "dogs.png\n"
    with Image.open(folder / "dogs.png") as picture:
        picture.load()  # raises if it were cut off


def test_help_tells_where_the_options_of_drawing_are(capsys: pytest.CaptureFixture[str]) -> None:
    run("--help")
    assert "draw --help" in capsys.readouterr().out


def test_a_resampled_picture_of_a_grid_is_drawn_again_alone_and_at_its_size(folder: Path) -> None:
    run("Dogs playing", "--seed", "6", "--grid", "2", "--each", "-o", "dogs.png")
    with Image.open("dogs-3.png") as drawn:
        once = resample(GeneratedImage(drawn, recipe_of(Path("dogs-3.png"))), "512x512")
    with Path("large.png").open("wb") as stream:
        save_png(once, stream)
    assert run("--recipe", "large.png", "-o", "again.png") == 0
    with Image.open("large.png") as first, Image.open("again.png") as second:
        assert second.size == (512, 512)
        assert first.tobytes() == second.tobytes()
    assert recipe_of(Path("again.png")) == once.recipe


def test_generate_returns_the_grid_and_the_same_one_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation._studio.cache_clear()
    generation._settings.cache_clear()
    try:
        grid = dalle_app.generate("Dogs playing", seed=6, grid_size=2)
        assert (grid.mode, grid.size) == ("RGB", (512, 512))
        again = dalle_app.generate("Dogs playing", seed=6, grid_size=2)
        assert again.tobytes() == grid.tobytes()
        with pytest.raises(InvalidRequest):
            dalle_app.generate("")
    finally:
        generation._studio().close()
        generation._studio.cache_clear()
        generation._settings.cache_clear()


def test_python_m_dalle_app_is_the_same_terminal() -> None:
    ended = terminal("a cat", "--grid", "9")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "The grid size must be between 1 and 6.\n"


def terminal(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m dalle_app` in a process of its own."""
    command = [sys.executable, "-m", "dalle_app", *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )

"""Pictures from a terminal and from one line of Python, by the real engine on small weights."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from loopback_hub import loopback_hub
from PIL import Image

import dalle_app
from dalle_app import generation
from dalle_app.cli import main
from dalle_app.engines.dalle_mini.checkpoint import Checkpoint
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.errors import InvalidRequest
from dalle_app.recipe import Recipe, recipe_from_png, save_picture
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
    names = ["vocab_mini.json", "merges_mini.txt"]
    names += ["encoder_mini.pt", "decoder_mini.pt", "detoker.pt"]
    with loopback_hub("kuprel/min-dalle", {name: name.encode() for name in names}) as hub:
        ended = terminal("fetch", "mini", HF_ENDPOINT=hub.endpoint, DALLE_MODELS_DIR=str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"mini is ready in {tmp_path}.\n"
    assert (tmp_path / "dalle_bart_mini" / "encoder.pt").read_text() == "encoder_mini.pt"


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

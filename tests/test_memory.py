"""A model that does not fit is refused with the numbers, before it is fetched or loaded."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from published_shapes import write_hollow

from dalle_app.engines.dalle_mini import engine as engine_module
from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, checkpoints
from dalle_app.engines.dalle_mini.engine import LocalEngine
from dalle_app.engines.dalle_mini.memory import (
    available,
    check_room,
    installed,
    memory_note,
    needed,
)
from dalle_app.errors import CheckpointError
from dalle_app.request import ImageRequest
from dalle_app.settings import Settings


def published(name: str) -> Checkpoint:
    return checkpoints(Path("nowhere"))[name]


def test_mega_wants_about_eleven_gigabytes_and_half_of_it_in_bfloat16() -> None:
    mega = published("mega")
    assert needed(mega, "float32") == pytest.approx(11e9, rel=0.03)
    assert needed(mega, "bfloat16") == pytest.approx(5.7e9, rel=0.03)


def test_a_model_that_does_not_fit_is_refused_with_both_numbers_and_a_way_out() -> None:
    mega = published("mega")
    with pytest.raises(CheckpointError, match=r"11\.1 GB .* here are 8\.0 GB.*bfloat16.* 5\.8 GB"):
        check_room(mega, "float32", 8_000_000_000)
    with pytest.raises(CheckpointError, match=r"here are 4\.0 GB\. Choose a smaller model"):
        check_room(mega, "float32", 4_000_000_000)
    check_room(mega, "float32", 12_000_000_000)


def test_the_list_of_models_says_what_each_takes() -> None:
    mini = published("mini")
    assert memory_note(mini, "float32", 16 * 10**9) == "takes 2.4 GB of memory, of 16.0 GB here"
    assert memory_note(mini, "float32", 10**9) == "takes 2.4 GB of memory, here are 1.0 GB"


def test_a_containers_limit_counts_and_its_cached_files_do_not(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("900000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 200000\nactive_file 50000\n")
    assert installed(tmp_path) == 1_000_000
    assert available(tmp_path) == 350_000


def test_without_a_limit_the_machines_memory_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    assert installed(tmp_path) == psutil.virtual_memory().total
    assert 0 < available(tmp_path) <= installed(tmp_path)


def test_the_engine_refuses_before_it_loads_and_says_so_in_its_list(
    tiny_pocket: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mega = replace(published("mega"), folder=tmp_path)
    for path in mega.sources():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # there, and never opened
    monkeypatch.setattr(engine_module, "memory_of", lambda _: (8 * 10**9, 8 * 10**9))
    family = {"pocket": tiny_pocket, "mega": mega}
    with closing(LocalEngine(Settings(device="cpu"), family)) as engine:
        pocket, large = engine.models()
        assert (pocket.state, pocket.usable) == ("ready", True)
        assert large.state == "ready, takes 11.1 GB of memory, here are 8.0 GB"
        assert not large.usable
        with pytest.raises(CheckpointError, match=r"takes 11\.1 GB of memory as float32"):
            next(engine.generate(ImageRequest("a cat", seed=1, model="mega")))
        with pytest.raises(CheckpointError, match=r"takes 11\.1 GB of memory as float32"):
            next(engine.fetch("mega"))


def test_a_model_is_weighed_against_what_is_free_once_the_old_one_is_gone(
    tiny_pocket: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mini = replace(published("mini"), folder=tmp_path)
    write_hollow("mini", tmp_path)
    monkeypatch.setattr(engine_module, "memory_of", lambda _: (10**9, 8 * 10**9))
    with closing(LocalEngine(Settings(device="cpu"), {"p": tiny_pocket, "mini": mini})) as engine:
        assert engine.models()[1].usable
        with pytest.raises(CheckpointError, match=r"2\.4 GB .* here are 1\.0 GB"):
            list(engine.generate(ImageRequest("a cat", seed=1, model="mini")))


def test_the_engine_tells_what_a_model_reads_without_its_weights(tiny_pocket: Checkpoint) -> None:
    with closing(LocalEngine(Settings(device="cpu"), {"pocket": tiny_pocket})) as engine:
        reading = engine.reading("pocket", "A  RED Cat")
        assert reading.text == "a red cat"
        assert "".join(reading.pieces).replace(" ", "") == "aredcat"

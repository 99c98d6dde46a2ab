"""A model that does not fit is refused with the numbers, before it is fetched or loaded."""

from pathlib import Path

import psutil
import pytest

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, checkpoints
from dalle_app.engines.dalle_mini.memory import (
    available,
    check_room,
    installed,
    memory_note,
    needed,
)
from dalle_app.errors import CheckpointError


def published(name: str) -> Checkpoint:
    return checkpoints(Path("nowhere"))[name]


def test_mega_wants_about_eleven_gigabytes_and_half_of_it_in_bfloat16() -> None:
    mega = published("mega")
    assert needed(mega, "float32") == pytest.approx(11e9, rel=0.03)
    assert needed(mega, "bfloat16") == pytest.approx(5.7e9, rel=0.03)


def test_a_model_that_does_not_fit_is_refused_with_both_numbers_and_a_way_out() -> None:
    mega = published("mega")
    with pytest.raises(CheckpointError, match=r"11\.1 GB .* there are 8\.0 GB.*bfloat16.* 5\.8 GB"):
        check_room(mega, "float32", 8_000_000_000)
    with pytest.raises(CheckpointError, match=r"there are 4\.0 GB\. Choose a smaller model"):
        check_room(mega, "float32", 4_000_000_000)
    check_room(mega, "float32", 12_000_000_000)


def test_the_list_of_models_says_what_each_takes() -> None:
    mini = published("mini")
    assert memory_note(mini, "float32", 8_000_000_000) == "takes 2.4 GB of memory"
    assert memory_note(mini, "float32", 10**9) == "takes 2.4 GB of memory, there are 1.0 GB"


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

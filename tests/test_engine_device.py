"""The engine says where it runs and why, and takes no more of the machine than it is given."""

from pathlib import Path

import pytest

from dalle_app.engines.dalle_mini.device import choose_device, cpu_limit, thread_count
from dalle_app.errors import InvalidSetting


def test_without_a_gpu_the_cpu_draws_and_the_reason_is_said() -> None:
    assert str(choose_device("auto", lambda: False)) == "cpu: no CUDA device"


def test_a_gpu_is_taken_where_there_is_one() -> None:
    assert choose_device("auto", lambda: True).kind == "cuda"
    assert choose_device("cuda", lambda: True).kind == "cuda"


def test_the_cpu_can_be_chosen_beside_a_gpu() -> None:
    assert str(choose_device("cpu", lambda: True)) == "cpu: chosen by DALLE_DEVICE"


def test_a_gpu_that_is_wanted_and_not_there_is_an_error() -> None:
    with pytest.raises(InvalidSetting, match="DALLE_DEVICE is cuda"):
        choose_device("cuda", lambda: False)


def test_threads_respect_the_containers_limit(tmp_path: Path) -> None:
    machine = cpu_limit(tmp_path / "no cgroup")
    assert machine >= 1
    for quota, cores in [("max 100000", machine), ("100000 100000", 1), ("50000 100000", 1)]:
        (tmp_path / "cpu.max").write_text(quota + "\n")
        assert cpu_limit(tmp_path) == cores


def test_threads_respect_an_older_containers_limit(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert cpu_limit(tmp_path) == cpu_limit(tmp_path / "no cgroup")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("100000\n")
    assert cpu_limit(tmp_path) == 1


def test_a_small_model_keeps_to_one_thread() -> None:
    assert thread_count(256) == 1
    assert thread_count(1024) == cpu_limit()

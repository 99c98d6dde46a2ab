"""Where the model runs, and why there, and on how many threads.

Knows no model. Asks the machine only when called.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from dalle_app.engines.dalle_mini.memory import available, installed
from dalle_app.errors import InvalidSetting

WIDE = 512  # width of a transformer from which on several threads pay


@dataclass(frozen=True, slots=True)
class Device:
    """`kind` is torch's name, `cpu` or `cuda`; `reason` says why, for log and page."""

    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


def choose_device(
    wanted: str = "auto", cuda_available: Callable[[], bool] = torch.cuda.is_available
) -> Device:
    """The GPU if there is one, else the CPU; or the one that is wanted.

    Args:
        wanted: `auto`, `cpu` or `cuda`.
        cuda_available: torch's own probe, or a test's.

    Raises:
        InvalidSetting: a GPU is wanted that is not there.
    """
    if wanted == "cpu":
        return Device("cpu", "chosen by DALLE_DEVICE")
    if cuda_available():
        name = torch.cuda.get_device_name() if torch.cuda.is_available() else "a CUDA device"
        return Device("cuda", name)
    if wanted == "cuda":
        raise InvalidSetting("DALLE_DEVICE is cuda, but torch finds no CUDA device. Use auto.")
    return Device("cpu", "no CUDA device")


def memory_of(device: Device) -> tuple[int, int]:
    """Bytes that are free and in all, where the device keeps a model's weights."""
    if device.kind == "cuda":
        free, total = torch.cuda.mem_get_info()
        return free, total
    return available(), installed()


def cpu_limit(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """CPU cores that this process may use, at least 1: its affinity, and its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = [cores or 1]
    version2 = _numbers(cgroup / "cpu.max")
    if len(version2) == 2:
        limits.append(version2[0] // version2[1])
    quota = _numbers(cgroup / "cpu" / "cpu.cfs_quota_us")
    period = _numbers(cgroup / "cpu" / "cpu.cfs_period_us")
    if quota and period and quota[0] > 0:
        limits.append(quota[0] // period[0])
    return max(1, min(limits))


def thread_count(width: int) -> int:
    """Threads for a transformer of this width: all that the container allows, or one.

    The matrices of a small one are done before a second thread has woken up, and on a busy machine
    waiting for each other costs far more than the work.
    """
    return 1 if width < WIDE else cpu_limit()


def _numbers(path: Path) -> list[int]:
    """The whole numbers in a small file; those before the first word (`max`), none if no file."""
    try:
        words = path.read_text().split()
    except OSError:
        return []
    return [int(word) for word in words] if all(w.lstrip("-").isdecimal() for w in words) else []

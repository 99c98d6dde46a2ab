"""What a checkpoint takes of a machine's memory, and what the machine has.

Knows no torch: the CPU's memory is asked here, a GPU's is told by whoever uses one.
"""

from __future__ import annotations

from pathlib import Path

import psutil

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint
from dalle_app.errors import CheckpointError

BYTES_OF = {"float32": 4, "bfloat16": 2}
CGROUP = Path("/sys/fs/cgroup")

_WORKING = 400_000_000  # torch itself, and what a step and the painter need for a moment


def needed(checkpoint: Checkpoint, precision: str) -> int:
    """Bytes to hold a checkpoint's weights and draw one picture; more are drawn in batches."""
    sizes = checkpoint.transformer
    each = BYTES_OF[precision]
    published = BYTES_OF["float32"] if checkpoint.source else BYTES_OF["bfloat16"]  # pocket: half
    weights = checkpoint.size * each // published
    # Keys and values, with and without guidance, of every token and layer.
    picture = 2 * 2 * sizes.decoder_layers * checkpoint.image.tokens * sizes.width * each
    return weights + picture + _WORKING


def installed(cgroup: Path = CGROUP) -> int:
    """Bytes that this process could have if nothing else ran: the machine's, or its container's."""
    return min([psutil.virtual_memory().total, *_limits(cgroup)])


def available(cgroup: Path = CGROUP) -> int:
    """Bytes that this process can have now without swapping or being killed."""
    free = psutil.virtual_memory().available
    limit = _number(cgroup / "memory.max")
    used = _number(cgroup / "memory.current")
    if limit is None or used is None:
        return free
    # Cached files count as used, and are dropped when memory is wanted.
    return min(free, limit - used + _cached(cgroup / "memory.stat"))


def check_room(checkpoint: Checkpoint, precision: str, room: int) -> None:
    """Refuse a published model that does not fit, before it is fetched or loaded.

    What comes with the program is small and never refused.

    Args:
        room: bytes that it may take.

    Raises:
        CheckpointError: with the numbers, and what would fit.
    """
    if checkpoint.source is None or needed(checkpoint, precision) <= room:
        return
    advice = "Choose a smaller model, or close other programs."
    if precision != "bfloat16" and needed(checkpoint, "bfloat16") <= room:
        size = _gigabytes(needed(checkpoint, "bfloat16"))
        advice = f"Set DALLE_PRECISION=bfloat16, with which it takes {size}."
    raise CheckpointError(
        f"{checkpoint.name} takes {_gigabytes(needed(checkpoint, precision))} of memory as "
        f"{precision}, and here are {_gigabytes(room)}. {advice}"
    )


def memory_note(checkpoint: Checkpoint, precision: str, room: int) -> str:
    """For the list of models: `takes 2.4 GB of memory, of 16.0 GB here`, or that it does not fit.

    Args:
        room: bytes that it may take.
    """
    need = needed(checkpoint, precision)
    here = f"of {_gigabytes(room)} here" if need <= room else f"here are {_gigabytes(room)}"
    return f"takes {_gigabytes(need)} of memory, {here}"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def _limits(cgroup: Path) -> list[int]:
    """A container's limit, version 2 or 1 of control groups, where there is one."""
    files = [cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes"]
    return [limit for file in files if (limit := _number(file)) is not None]


def _cached(stat: Path) -> int:
    try:
        lines = dict(line.split() for line in stat.read_text().splitlines())
        return int(lines["inactive_file"]) + int(lines["active_file"])
    except (OSError, ValueError, KeyError):
        return 0


def _number(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None  # “max” is no limit

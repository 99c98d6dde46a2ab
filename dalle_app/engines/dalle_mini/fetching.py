"""A published model on its way to this machine: refused where it does not fit, checked when there.

Joins memory, hub and files for the page and the terminal, and knows neither.
"""

from __future__ import annotations

from collections.abc import Generator

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint
from dalle_app.engines.dalle_mini.hub import Progress, fetch
from dalle_app.engines.dalle_mini.memory import check_room
from dalle_app.engines.dalle_mini.model import check_files


def fetch_model(checkpoint: Checkpoint, precision: str, room: int) -> Generator[Progress]:
    """Fetch what is missing of a model, as `hub.fetch` does, and look at what is there then.

    With good files there nobody is called.

    Args:
        room: bytes of memory that the model may take where it will draw.

    Raises:
        CheckpointError: it does not fit into memory, or a file that is there is not its own.
        FetchError: its files did not come.
    """
    check_room(checkpoint, precision, room)
    yield from fetch(checkpoint)
    check_files(checkpoint)

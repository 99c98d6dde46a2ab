"""A folder in which one stage of training lives: its checkpoint, its log and its pictures.

It does not know what is trained.
"""

import json
import signal
import time
from pathlib import Path
from typing import Any

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
STOPPED = "Stopped and saved at step {} of {}; the same command goes on."


def stop_gently() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that what was learnt is saved first."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


class RunFolder:
    """Checkpoints that replace each other atomically, and a log of one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._saved = time.monotonic()

    @property
    def checkpoint(self) -> Path:
        """Where the newest checkpoint lies, if there is one."""
        return self.path / "checkpoint.pt"

    def load(self) -> dict[str, Any] | None:
        """The newest checkpoint, or None for a run that has none yet."""
        if not self.checkpoint.exists():
            return None
        state: dict[str, Any] = torch.load(self.checkpoint, map_location=DEVICE, weights_only=True)
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint; whoever is killed halfway leaves the old one whole."""
        self.path.mkdir(parents=True, exist_ok=True)
        half = self.checkpoint.with_suffix(".half")
        torch.save(state, half)
        half.replace(self.checkpoint)
        self._saved = time.monotonic()

    def save_is_due(self, minutes: float) -> bool:
        """Whether the last checkpoint of this process is older than that."""
        return time.monotonic() - self._saved > 60 * minutes

    def log(self, **values: float) -> None:
        """Append one line to log.jsonl; `training.curves` draws it."""
        self.path.mkdir(parents=True, exist_ok=True)
        line = {key: round(value, 6) for key, value in values.items()}
        with (self.path / "log.jsonl").open("a") as log:
            log.write(json.dumps(line | {"time": int(time.time())}) + "\n")

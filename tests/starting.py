"""Starts `python app.py` as a process of its own, cut off from every network but loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Started:
    """A running process.

    Attributes:
        said: the lines it printed before it was up.
        attempts: file with a line for every connection that it was refused; absent if none.
    """

    process: subprocess.Popen[str]
    url: str
    said: list[str]
    attempts: Path


def app_process(folder: Path, **environment: str) -> subprocess.Popen[str]:
    """`python app.py` with its data in `folder` and these variables."""
    inherited = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={
            **inherited,
            "PYTHONPATH": str(ROOT / "tests" / "offline"),
            "OFFLINE_LOG": str(folder / "attempts.log"),
            "DALLE_DATA_DIR": str(folder / "data"),
            "DALLE_MODELS_DIR": str(folder / "models"),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def started(folder: Path, port: int, **environment: str) -> Iterator[Started]:
    """Yields once the process has said that it is up; ends it at the end."""
    with app_process(folder, GRADIO_SERVER_PORT=str(port), **environment) as process:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line.rstrip())
            if line.startswith("Model:"):
                break
        found = re.search(r"http://\S+", "\n".join(said))
        try:
            assert found, "\n".join(said)
            yield Started(process, found[0], said, folder / "attempts.log")
        finally:
            process.terminate()

"""Draws the loss curve of a run from its log.

    python -m training.curves training/runs/vqgan pixels

It does not know what was trained.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def draw(run: Path, value: str) -> Path:
    """Write <run>/<value>.png: the logged values, thin, and their moving mean. -> its path."""
    log = run / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    points = [(line["step"], line[value]) for line in lines if value in line]
    if not points:
        known = ", ".join(dict.fromkeys(name for line in lines for name in line)) or "nothing"
        raise SystemExit(f"{log} has no {value!r} yet. It has: {known}.")
    steps, values = np.array(points).T
    width = max(1, len(values) // 40)
    smooth = np.convolve(values, np.ones(width) / width, mode="valid")
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="step", ylabel=value, title=f"{run.name}: {value}")
    axes.plot(steps, values, color="0.8")
    axes.plot(steps[width - 1 :], smooth, color="tab:blue")
    axes.grid(alpha=0.3)
    picture = run / f"{value}.png"
    figure.savefig(picture, dpi=110)
    return picture


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("value", nargs="?", default="loss")
    options = parser.parse_args()
    print(draw(options.run, options.value))


if __name__ == "__main__":
    main()

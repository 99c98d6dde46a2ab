"""An engine that paints coloured squares: nothing to load, and a gate to hold it at.

For tests of what stands above the engines.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from PIL import Image

from dalle_app.engines import ModelState, Snapshots
from dalle_app.recipe import Recipe
from dalle_app.request import GeneratedImage, ImageRequest, Snapshot

STEPS = 4


@dataclass
class Squares:
    """Draws `count` squares in STEPS steps, each waiting until the gate is open.

    Attributes:
        gate: closed by the test to hold the engine before step `hold_from` and each later one.
        error: raised after the first step, if set.
        ended: counts generators that were closed or came to their end.
    """

    gate: threading.Event = field(default_factory=threading.Event)
    hold_from: int = 1
    error: Exception | None = None
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    closed: bool = False
    name = "squares"

    def __post_init__(self) -> None:
        self.gate.set()

    def models(self) -> list[ModelState]:
        return [ModelState("pocket", "ready", True, ("a blue harp",))]

    def where(self) -> str:
        return "paper: no computer needed"

    def generate(self, request: ImageRequest) -> Snapshots:
        try:
            shown = Snapshot(0, STEPS, STEPS)
            for step in range(1, STEPS + 1):
                yield shown
                while step >= self.hold_from and not self.gate.wait(0.02):
                    yield shown
                if self.error and step == 2:
                    raise self.error
                shown = Snapshot(step, STEPS, STEPS, self._images(request, step))
            yield shown
        finally:
            self.ended.release()

    def close(self) -> None:
        self.closed = True

    def _images(self, request: ImageRequest, step: int) -> tuple[GeneratedImage, ...]:
        assert request.seed is not None
        images = []
        for k in range(request.count):
            colour = (request.seed % 256, k * 5, 60 * step)
            recipe = Recipe(request, k, self.name, versions={"squares": "1"})
            images.append(GeneratedImage(Image.new("RGB", (16, 16), colour), recipe))
        return tuple(images)

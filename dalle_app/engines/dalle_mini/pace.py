"""When to show a preview, and how long a drawing will still take.

Knows neither networks nor pictures: it is told when steps and paintings are done, and counts time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PROMISED = 4  # previews before the last picture, however long they take
SHARE = 0.15  # of the time so far that all previews together may take, if there are to be more
SETTLED = 3  # steps after which the time of one is known well enough


class Pace:
    """The clock of one drawing.

    Args:
        of: steps in all.
        clock: seconds, never backwards.
    """

    def __init__(self, of: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._of, self._clock = of, clock
        self._began = clock()
        self._painting = self._last_painting = 0.0
        self._promises = 0

    def preview_due(self, step: int) -> bool:
        """Whether to paint what is drawn after `step`; asked at the end of each row of tokens."""
        if not 0 < step < self._of:
            return False
        promises = step * (PROMISED + 1) // self._of
        if promises > self._promises:
            self._promises = promises
            return True
        if not self._painting:
            return False
        elapsed = self._clock() - self._began
        # What the promised previews still ahead will take is not given away.
        ahead = (PROMISED - self._promises + 1) * self._last_painting
        return self._painting + ahead <= SHARE * elapsed

    @contextmanager
    def painting(self) -> Iterator[None]:
        """Around each preview: measures it."""
        began = self._clock()
        yield
        self._last_painting = self._clock() - began
        self._painting += self._last_painting

    def seconds_left(self, step: int) -> float | None:
        """Estimate from `step` to the last picture, painting it included; None at the start."""
        if step < SETTLED:
            return None
        drawing = self._clock() - self._began - self._painting
        left = drawing * (self._of - step) / step
        previews = max(0, PROMISED - self._promises)
        return left + (previews + 1) * self._last_painting

"""Pictures of one request as a server's events bring them, in any order, to snapshots.

Knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from dalle_app.grid import PAPER
from dalle_app.recipe import Recipe
from dalle_app.request import GeneratedImage, Snapshot


class PictureStream:
    """Collects previews and finished pictures.

    Args:
        count: pictures asked for.
        partials: previews that each may have.
        recipe: the recipe of picture k.
    """

    def __init__(self, count: int, partials: int, recipe: Callable[[int], Recipe]) -> None:
        self._partials = partials
        self._recipe = recipe
        self._pictures: list[Image.Image | None] = [None] * count
        self._steps = [0] * count

    @property
    def complete(self) -> bool:
        """Whether every picture is finished."""
        return self.finished == len(self._pictures)

    @property
    def finished(self) -> int:
        """How many are."""
        return sum(step > self._partials for step in self._steps)

    def place(self, picture: Image.Image, index: object, *, finished: bool) -> None:
        """Take an event's picture.

        Args:
            index: which picture it is, where the server says so. OpenAI's does not: its events
                then belong to the first picture that is not finished.
        """
        unfinished = [k for k, step in enumerate(self._steps) if step <= self._partials]
        if not unfinished:
            return
        named = isinstance(index, int) and not isinstance(index, bool) and index in unfinished
        k = index if named and isinstance(index, int) else unfinished[0]
        self._pictures[k] = picture
        shown = min(self._steps[k] + 1, self._partials)
        self._steps[k] = self._partials + 1 if finished else shown

    def snapshot(self) -> Snapshot:
        """What there is to see now, with paper where a later picture came first. Never final."""
        last = max((k for k, picture in enumerate(self._pictures) if picture), default=-1)
        first = next((picture for picture in self._pictures if picture), None)
        shown = [
            picture or Image.new("RGB", first.size, PAPER)
            for picture in self._pictures[: last + 1]
            if first
        ]
        of = len(self._pictures) * (self._partials + 1)
        images = tuple(GeneratedImage(p, self._recipe(k)) for k, p in enumerate(shown))
        return Snapshot(min(sum(self._steps), of - 1), of, images=images)

    def final(self, notes: tuple[str, ...]) -> Snapshot:
        """The finished pictures, as the last snapshot."""
        of = len(self._pictures) * (self._partials + 1)
        images = tuple(
            GeneratedImage(picture, self._recipe(k))
            for k, picture in enumerate(self._pictures)
            if picture and self._steps[k] > self._partials
        )
        return Snapshot(of, of, images=images, notes=notes)

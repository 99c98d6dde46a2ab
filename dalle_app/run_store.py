"""The folder where runs are kept for their visitors, for a day and up to a size.

A kept run is a folder named by its id: `run.json`, and one PNG a picture with its recipe inside.
Knows nothing of engines or pages.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

from PIL import Image

from dalle_app.errors import DalleError
from dalle_app.recipe import recipe_from_png, save_png
from dalle_app.request import GeneratedImage, Snapshot, request_from_fields
from dalle_app.runs import Run, State

log = logging.getLogger(__name__)

_ID = re.compile(r"[0-9a-f]{32}")
_MEMORY_PIXELS = 2**25  # about 100 MB of RGB pictures stay in memory, read or kept last
CUT_OFF = "The server was restarted while this was being drawn. Draw it again."


class RunStore:
    """Ended runs: the newest in memory, all on disk, for `keep_seconds`, up to `keep_bytes`.

    A disk that is full or closed loses nothing that is still in memory.

    Args:
        folder: made when first needed.
    """

    def __init__(self, folder: Path, keep_seconds: float, keep_bytes: int) -> None:
        self._folder = folder
        self._keep_seconds = keep_seconds
        self._keep_bytes = keep_bytes
        self._memory: OrderedDict[str, Run] = OrderedDict()
        self._lock = threading.RLock()

    def check(self) -> str:
        """Try the folder. Returns an empty text, or a sentence on why nothing can be kept in it."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            probe = self._folder / "probe"
            probe.touch()
            probe.unlink()
            self.sweep()
        except OSError as error:
            reason = error.strerror or "it cannot be written"
            return (
                f"Nothing can be kept in {self._folder} ({reason}): pictures will be lost at a "
                "restart. Set DALLE_DATA_DIR to a folder that can be written."
            )
        return ""

    def begin(self, run: Run) -> None:
        """Note that a run has begun, so that a restart does not lose its prompt."""
        try:
            with self._lock:
                self._write_facts(run, "drawing", "", 0)
        except OSError as error:
            log.warning("the beginning of run %s could not be kept: %s", run.id, error)

    def save(self, run: Run, state: State, error: str) -> str:
        """Keep a run that ends in `state`.

        Returns:
            An empty text, or a sentence for the person when it could be kept in memory only.
        """
        images = run.snapshot.images if run.snapshot else ()
        try:
            with self._lock:
                self._remember(run)
                self.sweep()
                folder = self._folder / run.id
                folder.mkdir(parents=True, exist_ok=True)
                for k, image in enumerate(images):
                    with (folder / f"{k}.png").open("wb") as file:
                        save_png(image, file)
                # Last: until now, this is a run that was cut off.
                self._write_facts(run, state, error, len(images))
        except OSError as trouble:
            shutil.rmtree(self._folder / run.id, ignore_errors=True)
            log.warning("run %s could not be kept: %s", run.id, trouble)
            reason = trouble.strerror or "it cannot be written"
            return f"These pictures could not be kept on the server ({reason}). Save them now."
        return ""

    def load(self, run_id: str) -> Run | None:
        """A run with its pictures; None if there is none (any more), or it is damaged."""
        with self._lock:
            run = self._memory.get(run_id)
        if run is None and _ID.fullmatch(run_id):
            run = self._read(run_id)
            if run:
                self._remember(run)
        return run if run and self._fresh(run.created) else None

    def of_visitor(self, visitor: str, limit: int) -> list[Run]:
        """The newest kept runs of a visitor, newest first."""
        with self._lock:
            found = {run.id: run for run in self._memory.values() if run.visitor == visitor}
        on_disk = 0
        for _, folder in sorted(self._kept(), reverse=True):
            if on_disk == limit:
                break
            if self._visitor(folder) == visitor:
                on_disk += 1
                run = self.load(folder.name)
                found |= {run.id: run} if run else {}
        runs = [run for run in found.values() if self._fresh(run.created)]
        return sorted(runs, key=lambda run: run.created, reverse=True)[:limit]

    def sweep(self) -> None:
        """Remove runs that are too old, then the oldest while all are too large together."""
        with self._lock:
            kept = sorted(self._kept())
            sizes = {folder: _size(folder) for _, folder in kept}
            total = sum(sizes.values())
            for changed, folder in kept:
                if not self._fresh(changed) or total > self._keep_bytes:
                    shutil.rmtree(folder, ignore_errors=True)
                    total -= sizes[folder]
            for run in list(self._memory.values()):
                if not self._fresh(run.created):
                    del self._memory[run.id]

    def _fresh(self, moment: float) -> bool:
        return time.time() - moment < self._keep_seconds

    def _remember(self, run: Run) -> None:
        with self._lock:
            self._memory[run.id] = run
            self._memory.move_to_end(run.id)
            total = sum(_pixels(run) for run in self._memory.values())
            while total > _MEMORY_PIXELS and len(self._memory) > 1:
                total -= _pixels(self._memory.popitem(last=False)[1])

    def _write_facts(self, run: Run, state: State, error: str, images: int) -> None:
        snapshot = run.snapshot or Snapshot(0, 1)
        facts = {
            "visitor": run.visitor,
            "request": asdict(run.request),
            "created": run.created,
            "state": state,
            "error": error,
            "images": images,
            "step": snapshot.step,
            "of": snapshot.of,
            "rows": snapshot.rows,
            "notes": list(snapshot.notes),
        }
        folder = self._folder / run.id
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "run.json.partial"
        partial.write_text(json.dumps(facts), encoding="utf-8")
        partial.replace(folder / "run.json")

    def _read(self, run_id: str) -> Run | None:
        folder = self._folder / run_id
        try:
            facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            request = request_from_fields(dict(facts["request"]))
            run = Run(str(facts["visitor"]), request, run_id, float(facts["created"]))
            images = tuple(_image(folder / f"{k}.png") for k in range(facts["images"]))
            step, of, rows = int(facts["step"]), max(1, int(facts["of"])), int(facts["rows"])
            notes = tuple(str(note) for note in facts["notes"])
            snapshot = Snapshot(step, of, rows, images, notes=notes)
            state, error = facts["state"], str(facts["error"])
            if state not in get_args(State):
                raise ValueError(f"state {state!r}")
        except FileNotFoundError:
            return None
        except (OSError, SyntaxError, ValueError, KeyError, TypeError, DalleError) as trouble:
            log.warning("kept run %s is damaged: %s", run_id, trouble)
            return None
        if state == "drawing":
            state, snapshot = "stopped", replace(snapshot, notes=(*notes, CUT_OFF))
        run.show(snapshot)
        run.end(state, error)
        return run

    def _visitor(self, folder: Path) -> str:
        try:
            facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            return str(facts["visitor"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def _kept(self) -> list[tuple[float, Path]]:
        kept = []
        for folder in self._folder.glob("*"):
            if _ID.fullmatch(folder.name):
                with suppress(FileNotFoundError):  # another process may sweep too
                    kept.append((folder.stat().st_mtime, folder))
        return kept


def _image(path: Path) -> GeneratedImage:
    with path.open("rb") as file:
        recipe = recipe_from_png(file)
    with Image.open(path) as picture:
        mode = "RGBA" if picture.has_transparency_data else "RGB"
        return GeneratedImage(picture.convert(mode), recipe)


def _pixels(run: Run) -> int:
    images = run.snapshot.images if run.snapshot else ()
    return sum(image.picture.width * image.picture.height for image in images)


def _size(folder: Path) -> int:
    total = 0
    for file in folder.glob("*"):
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total

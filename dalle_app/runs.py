"""Runs: one request being drawn for one visitor, and the folder where finished ones are kept.

Knows nothing of engines or pages. A kept run is a folder: `run.json` and one PNG a picture, each
with its recipe inside.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from PIL import Image

from dalle_app.errors import DalleError, InvalidRecipe
from dalle_app.recipe import recipe_from_png, save_png
from dalle_app.request import GeneratedImage, ImageRequest, Snapshot

log = logging.getLogger(__name__)

State = Literal["drawing", "done", "stopped", "failed"]
_ID = re.compile(r"[0-9a-f]{32}")


class Run:
    """One request of one visitor, while it is drawn and after.

    Any number of threads may `follow()`; one thread feeds it with `follow_engine`.

    Attributes:
        id: 32 random hex digits; who knows it may see the pictures.
        snapshot: the newest one, None before the first.
        error: for the person, when `state` is `failed`.
    """

    def __init__(self, visitor: str, request: ImageRequest, run_id: str | None = None) -> None:
        self.id = run_id or secrets.token_hex(16)
        self.visitor = visitor
        self.request = request
        self.created = time.time()
        self.state: State = "drawing"
        self.snapshot: Snapshot | None = None
        self.error = ""
        self._version = 0
        self._over = False
        self._stop = threading.Event()
        self._changed = threading.Condition()

    def stop(self) -> None:
        """Ask for the end; what is drawn so far stays."""
        self._stop.set()

    def follow(self) -> Iterator[Snapshot]:
        """Yield the newest snapshot whenever there is a new one, until the run is over."""
        seen = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._version > seen or self._over)
                seen, snapshot, over = self._version, self.snapshot, self._over
            if snapshot is not None:
                yield snapshot
            if over:
                return

    def follow_engine(self, snapshots: Iterator[Snapshot]) -> None:
        """Take an engine's snapshots in until the last one, an error or `stop()`."""
        try:
            for snapshot in snapshots:
                self.show(snapshot)
                if snapshot.final:
                    self.state = "done"
                elif self._stop.is_set():
                    self.state = "stopped"
                    break
        except DalleError as error:
            self.fail(str(error))
        except Exception:
            bug = secrets.token_hex(4)
            log.exception("bug %s in run %s", bug, self.id)
            self.fail(f"A fault of ours stopped this drawing (id {bug} in the log). Try again.")
        finally:
            if isinstance(snapshots, Generator):
                snapshots.close()

    def show(self, snapshot: Snapshot) -> None:
        """Make a snapshot the newest. One without pictures keeps those seen before."""
        with self._changed:
            if self.snapshot and not snapshot.images:
                snapshot = replace(snapshot, images=self.snapshot.images)
            self.snapshot = snapshot
            self._version += 1
            self._changed.notify_all()

    def fail(self, message: str) -> None:
        """End in an error; the pictures seen before stay."""
        self.error = message
        self.state = "failed"

    def finish(self) -> None:
        """Wake all followers for the last time."""
        with self._changed:
            self._over = True
            self._changed.notify_all()


class RunStore:
    """Finished runs on disk, for `keep_seconds` and up to `keep_bytes` in all.

    Args:
        folder: made when first needed; everything in it belongs to the store.
    """

    def __init__(self, folder: Path, keep_seconds: float, keep_bytes: int) -> None:
        self._folder = folder
        self._keep_seconds = keep_seconds
        self._keep_bytes = keep_bytes
        self._lock = threading.Lock()

    def save(self, run: Run) -> str:
        """Keep a run. Returns an empty text, or a sentence when it could not be kept."""
        final = self._folder / run.id
        partial = final.with_suffix(".partial")
        try:
            self.sweep()
            partial.mkdir(parents=True)
            for k, image in enumerate(run.snapshot.images if run.snapshot else ()):
                with (partial / f"{k}.png").open("wb") as file:
                    save_png(image, file)
            (partial / "run.json").write_text(json.dumps(_facts(run)), encoding="utf-8")
            partial.rename(final)  # a run is either kept whole or not at all
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            log.warning("run %s could not be kept: %s", run.id, error)
            reason = error.strerror or "it cannot be written"
            return f"These pictures could not be kept on the server ({reason}). Save them now."
        return ""

    def load(self, run_id: str) -> Run | None:
        """A kept run with its pictures; None if there is none, or it is damaged."""
        if not _ID.fullmatch(run_id):
            return None
        folder = self._folder / run_id
        try:
            facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            images = tuple(_image(folder / f"{k}.png") for k in range(int(facts["images"])))
            run = Run(facts["visitor"], images[0].recipe.request, run_id)
            run.created, run.state = float(facts["created"]), facts["state"]
            run.error = facts["error"]
            step, of, rows = facts["step"], facts["of"], facts["rows"]
            run.show(Snapshot(step, of, rows, images, notes=tuple(facts["notes"])))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, IndexError, InvalidRecipe) as error:
            log.warning("kept run %s is damaged: %s", run_id, error)
            return None
        run.finish()
        return run

    def of_visitor(self, visitor: str, limit: int) -> list[Run]:
        """The newest kept runs of a visitor, newest first."""
        found = []
        for created, folder in sorted(self._kept(), reverse=True):
            try:
                facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            if facts.get("visitor") == visitor and time.time() - created < self._keep_seconds:
                run = self.load(folder.name)
                found += [run] if run else []
            if len(found) == limit:
                break
        return found

    def sweep(self) -> None:
        """Remove runs that are too old, then the oldest while all are too large together."""
        with self._lock:
            kept = sorted(self._kept())
            sizes = {folder: _size(folder) for _, folder in kept}
            total = sum(sizes.values())
            for created, folder in kept:
                if time.time() - created < self._keep_seconds and total <= self._keep_bytes:
                    continue
                shutil.rmtree(folder, ignore_errors=True)
                total -= sizes[folder]

    def _kept(self) -> list[tuple[float, Path]]:
        if not self._folder.is_dir():
            return []
        folders = [folder for folder in self._folder.iterdir() if folder.is_dir()]
        return [(folder.stat().st_mtime, folder) for folder in folders]


def _facts(run: Run) -> dict[str, object]:
    snapshot = run.snapshot or Snapshot(0, 1)
    return {
        "visitor": run.visitor,
        "created": run.created,
        "state": run.state,
        "error": run.error,
        "images": len(snapshot.images),
        "step": snapshot.step,
        "of": snapshot.of,
        "rows": snapshot.rows,
        "notes": list(snapshot.notes),
    }


def _image(path: Path) -> GeneratedImage:
    with path.open("rb") as file:
        recipe = recipe_from_png(file)
    with Image.open(path) as picture:
        return GeneratedImage(picture.convert("RGB"), recipe)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())

"""The local engine: DALL-E mini's family, drawn in this process.

Joins settings, checkpoints and the scheduler to the Engine protocol, and knows no more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Mapping

from dalle_app.engines import ModelState, Snapshots
from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, checkpoints
from dalle_app.engines.dalle_mini.device import choose_device, memory_of
from dalle_app.engines.dalle_mini.drawing import ENGINE
from dalle_app.engines.dalle_mini.fetching import fetch_model
from dalle_app.engines.dalle_mini.hub import Progress
from dalle_app.engines.dalle_mini.memory import check_room, memory_note, needed
from dalle_app.engines.dalle_mini.model import Model, check_files, load_model
from dalle_app.engines.dalle_mini.scheduler import Scheduler
from dalle_app.engines.dalle_mini.text import Reading, TextReader, reader_of
from dalle_app.errors import CheckpointError, InvalidRequest
from dalle_app.request import ImageRequest
from dalle_app.settings import Settings

log = logging.getLogger(__name__)


class LocalEngine:
    """An `Engine` (see dalle_app.engines). Begins at once to load its first model, without waiting.

    Args:
        settings: device, precision, the models folder, the model to begin with.
        family: checkpoints by name; those that come with the program if not given.

    Raises:
        InvalidSetting: the device that is wanted is not there.
        CheckpointError: a checkpoint's description cannot be read.
    """

    name = ENGINE

    def __init__(self, settings: Settings, family: Mapping[str, Checkpoint] | None = None) -> None:
        found = dict(checkpoints(settings.models_dir) if family is None else family)
        first = {name: found[name] for name in [settings.model] if name in found}
        self._checkpoints = {**first, **found}
        self._device = choose_device(settings.device)
        self._precision = settings.precision
        self._scheduler = Scheduler(self._load)
        self._readers: dict[str, TextReader] = {}
        self._faults: dict[str, tuple[_Mark, str]] = {}
        self._looking = threading.Lock()
        log.info("drawing on %s", self._device)
        states = zip(self._checkpoints.values(), self.models(), strict=True)
        self._scheduler.warm_up(*(checkpoint for checkpoint, state in states if state.usable))

    def models(self) -> list[ModelState]:
        """See Engine.models. Files that it has not seen yet are looked at, which takes a moment."""
        _, room = memory_of(self._device)
        return [self._state(checkpoint, room) for checkpoint in self._checkpoints.values()]

    def where(self) -> str:
        """See Engine.where: `cpu: no CUDA device`."""
        return str(self._device)

    def generate(self, request: ImageRequest) -> Snapshots:
        """See Engine.generate.

        Raises:
            InvalidRequest: no such model, or it can read nothing of the prompt.
            CheckpointError: its weights are missing, damaged or too large for this machine.
            Busy: the line is full.
            EngineError: memory does not suffice for one picture, or the engine is closed.
        """
        checkpoint = self._present(request.model)
        _, room = memory_of(self._device)
        check_room(checkpoint, self._precision, room)
        self._refuse_damaged(checkpoint)  # here, where it does not cost another model its place
        ticket = self._scheduler.submit(request.settle(), checkpoint)
        try:
            yield from ticket.snapshots()
        finally:
            self._scheduler.give_up(ticket)

    def fetch(self, model: str) -> Generator[Progress]:
        """Fetch a published model's files, with reports; closing it stops. See `fetch_model`.

        Raises:
            InvalidRequest: no such model.
            CheckpointError: it does not fit into this machine's memory, or is here and damaged.
            FetchError: its files did not come.
        """
        _, room = memory_of(self._device)
        yield from fetch_model(self._checkpoint(model), self._precision, room)

    def reading(self, model: str, prompt: str) -> Reading:
        """What a model would read of a prompt. Needs its vocabulary, not its weights.

        Raises:
            InvalidRequest: no such model.
            CheckpointError: its files are missing or damaged.
        """
        checkpoint = self._present(model)
        self._refuse_damaged(checkpoint)
        if model not in self._readers:
            self._readers[model] = reader_of(checkpoint)
        return self._readers[model].read(prompt)

    def close(self) -> None:
        """See Engine.close."""
        self._scheduler.close()

    def _checkpoint(self, model: str) -> Checkpoint:
        if model not in self._checkpoints:
            raise InvalidRequest("model", f"There is no local model “{model[:40]}”.")
        return self._checkpoints[model]

    def _present(self, model: str) -> Checkpoint:
        checkpoint = self._checkpoint(model)
        if checkpoint.missing():
            raise CheckpointError(
                f"The weights of {checkpoint.name} are not on this machine ({checkpoint.state}). "
                "Fetch them under “Models” on the page or with "
                f"`python -m dalle_app fetch {checkpoint.name}`, put them into "
                f"{checkpoint.folder}, or choose another model."
            )
        return checkpoint

    def _refuse_damaged(self, checkpoint: Checkpoint) -> None:
        if fault := self._fault(checkpoint):
            raise CheckpointError(fault)

    def _fault(self, checkpoint: Checkpoint) -> str:
        """What is wrong with a checkpoint's files, or nothing. Asked again once they change."""
        with self._looking:
            mark = _mark(checkpoint)
            seen, fault = self._faults.get(checkpoint.name, (None, ""))
            if seen != mark:
                try:
                    check_files(checkpoint)
                    fault = ""
                except CheckpointError as error:
                    fault = str(error)
                    log.error("%s cannot be used: %s", checkpoint.name, fault)
                self._faults[checkpoint.name] = mark, fault
            return fault

    def _state(self, checkpoint: Checkpoint, room: int) -> ModelState:
        missing, fits = bool(checkpoint.missing()), True
        note = ""
        if checkpoint.source:
            fits = needed(checkpoint, self._precision) <= room
            note = f", {memory_note(checkpoint, self._precision, room)}"
        damaged = fits and not missing and bool(self._fault(checkpoint))
        state = checkpoint.state
        if damaged:
            state = "damaged, fetch it again" if checkpoint.source else "damaged"
        usable = fits and not missing and not damaged
        fetchable = bool(checkpoint.source) and (missing or damaged)
        return ModelState(checkpoint.name, state + note, usable, checkpoint.prompts, fetchable)

    def _load(self, checkpoint: Checkpoint) -> Model:
        free, _ = memory_of(self._device)  # another model has been unloaded by now
        check_room(checkpoint, self._precision, free)
        mark = _mark(checkpoint)
        try:
            return load_model(checkpoint, self._device, self._precision)
        except CheckpointError as error:
            with self._looking:
                self._faults[checkpoint.name] = mark, str(error)
            raise


_Mark = tuple[tuple[int, int], ...]  # size and time of change of every file that is there


def _mark(checkpoint: Checkpoint) -> _Mark:
    """What changes when a checkpoint's files do."""
    there = [path.stat() for path in checkpoint.sources() if path.is_file()]
    return tuple((found.st_size, found.st_mtime_ns) for found in there)

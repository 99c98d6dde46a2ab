"""The local engine: DALL-E mini's family, drawn in this process.

Joins settings, checkpoints and the scheduler to the Engine protocol, and knows no more.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from dalle_app.engines import ModelState, Snapshots
from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, checkpoints
from dalle_app.engines.dalle_mini.device import choose_device
from dalle_app.engines.dalle_mini.drawing import ENGINE
from dalle_app.engines.dalle_mini.model import Model, load_model
from dalle_app.engines.dalle_mini.scheduler import Scheduler
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
        log.info("drawing on %s", self._device)
        ready = [
            checkpoint for checkpoint in self._checkpoints.values() if not checkpoint.missing()
        ]
        if ready:
            self._scheduler.warm_up(ready[0])

    def models(self) -> list[ModelState]:
        """See Engine.models."""
        return [
            ModelState(name, checkpoint.state, not checkpoint.missing(), checkpoint.prompts)
            for name, checkpoint in self._checkpoints.items()
        ]

    def where(self) -> str:
        """See Engine.where: `cpu: no CUDA device`."""
        return str(self._device)

    def generate(self, request: ImageRequest) -> Snapshots:
        """See Engine.generate.

        Raises:
            InvalidRequest: no such model, or it can read nothing of the prompt.
            CheckpointError: its weights are missing or damaged.
            Busy: the line is full.
            EngineError: memory does not suffice for one picture, or the engine is closed.
        """
        checkpoint = self._checkpoints.get(request.model)
        if checkpoint is None:
            raise InvalidRequest("model", f"There is no local model “{request.model[:40]}”.")
        if checkpoint.missing():
            raise CheckpointError(
                f"The weights of {checkpoint.name} are not on this machine ({checkpoint.state}). "
                f"Put them into {checkpoint.folder}, or choose another model."
            )
        ticket = self._scheduler.submit(request.settle(), checkpoint)
        try:
            yield from ticket.snapshots()
        finally:
            self._scheduler.give_up(ticket)

    def close(self) -> None:
        """See Engine.close."""
        self._scheduler.close()

    def _load(self, checkpoint: Checkpoint) -> Model:
        return load_model(checkpoint, self._device, self._precision)

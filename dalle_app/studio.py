"""The flow: a request goes to its engine, and what there is to see comes back.

Knows no front end. The page starts runs that outlive a reload; the API and the terminal iterate
over `draw` and close it to stop.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from dalle_app.engines import Engine, KeepsWeights, ModelState, Snapshots
from dalle_app.errors import Busy, DalleError, EngineError, InvalidRequest
from dalle_app.request import ImageRequest
from dalle_app.run_store import RunStore
from dalle_app.runs import Run, State

if TYPE_CHECKING:
    from dalle_app.engines.dalle_mini.hub import Progress
    from dalle_app.engines.dalle_mini.text import Reading

log = logging.getLogger(__name__)


class Studio:
    """Where requests become pictures.

    Args:
        engines: tried in order; the first that offers the request's model draws it.
        store: where runs are kept for their visitors.
        queue_size, queue_per_visitor: requests that may wait or be drawn at a time.
        max_pictures: pictures that one request may ask for.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        store: RunStore,
        *,
        queue_size: int = 30,
        queue_per_visitor: int = 3,
        max_pictures: int = 36,
    ) -> None:
        self.engines = tuple(engines)
        self.store = store
        self._queue_size = queue_size
        self._queue_per_visitor = queue_per_visitor
        self._max_pictures = max_pictures
        self._places: Counter[str] = Counter()  # taken in the line, by visitor
        self._live: dict[str, Run] = {}
        self._lock = threading.Lock()

    def models(self) -> list[ModelState]:
        """All models of all engines, the default one first."""
        return [model for engine in self.engines for model in engine.models()]

    def first_model(self, wanted: str = "") -> str:
        """A model to begin with: the wanted one, the default one, or any, if it can draw now."""
        models = self.models()
        usable = [model.name for model in models if model.usable] or [models[0].name]
        return wanted if wanted in usable else usable[0]

    def reading(self, model: str, prompt: str) -> Reading | None:
        """What a model would read of a prompt; None where only a far server knows.

        Raises:
            DalleError: no such model, or its vocabulary is not here.
        """
        engine = self._engine(model)
        return engine.reading(model, prompt) if isinstance(engine, KeepsWeights) else None

    def fetch(self, model: str) -> Generator[Progress]:
        """Fetch a model's published weights, with reports. Closing the generator stops it.

        Raises:
            InvalidRequest: no such model, or it has none.
            DalleError: it does not fit, or cannot be had.
        """
        engine = self._engine(model)
        if not isinstance(engine, KeepsWeights):
            raise InvalidRequest("model", f"“{model[:40]}” has no weights to fetch.")
        yield from engine.fetch(model)

    def draw(
        self, request: ImageRequest, visitor: str = "", engine: Engine | None = None
    ) -> Snapshots:
        """Draw a request. Closing the generator stops the work within one step.

        Args:
            visitor: who asks, for the limit on each; empty is nobody in particular.
            engine: one of the caller's own (with a visitor's key, say); else the model's.

        Raises:
            Busy: too many requests wait already, in all or of this visitor.
            InvalidRequest: the model is not offered, or too many pictures are asked for.
            DalleError: whatever the engine could not do.
        """
        request, engine = self._accept(request, engine)
        self._enter(visitor)
        try:
            yield from engine.generate(request)
        finally:
            self._leave(visitor)

    def start(self, request: ImageRequest, visitor: str, engine: Engine | None = None) -> Run:
        """Draw a request in the background, for a page that may be reloaded.

        Args:
            visitor: an id that only this visitor's browser knows.
            engine: as in `draw`.

        Raises:
            Busy, InvalidRequest: as `draw`, at once. Later errors are the run's.
        """
        request, engine = self._accept(request, engine)
        self._enter(visitor)
        run = Run(visitor, request)
        with self._lock:
            self._live[run.id] = run
        name = f"run-{run.id[:8]}"
        threading.Thread(target=self._work, args=(run, engine), name=name, daemon=True).start()
        return run

    def run(self, run_id: str) -> Run | None:
        """A run by its id: live, or kept; None if there is none (any more)."""
        with self._lock:
            live = self._live.get(run_id)
        return live or self.store.load(run_id)

    def runs(self, visitor: str, limit: int = 12) -> list[Run]:
        """This visitor's runs, newest first, live ones included."""
        if not visitor:
            return []
        with self._lock:
            live = [run for run in self._live.values() if run.visitor == visitor]
        seen = {run.id for run in live}
        kept = [run for run in self.store.of_visitor(visitor, limit) if run.id not in seen]
        return sorted(live + kept, key=lambda run: run.created, reverse=True)[:limit]

    def live(self, visitor: str) -> list[Run]:
        """This visitor's runs that wait or are being drawn, oldest first. Reads no files."""
        with self._lock:
            live = [run for run in self._live.values() if run.visitor == visitor and not run.over]
        return sorted(live, key=lambda run: run.created)

    def close(self) -> None:
        """Stop every run, give each a moment to keep its pictures, and free the engines."""
        with self._lock:
            live = list(self._live.values())
        for run in live:
            run.stop()
        deadline = time.monotonic() + 3
        for run in live:
            run.wait(max(0, deadline - time.monotonic()))
        for engine in self.engines:
            engine.close()

    def _accept(self, request: ImageRequest, engine: Engine | None) -> tuple[ImageRequest, Engine]:
        if request.count > self._max_pictures:
            raise InvalidRequest(
                "count",
                f"{request.count} pictures are too many at a time here; "
                f"{self._max_pictures} is the most. Choose a smaller grid.",
            )
        return request.settle(), engine or self._engine(request.model)

    def _engine(self, model: str) -> Engine:
        for engine in self.engines:
            if any(offered.name == model for offered in engine.models()):
                return engine
        names = ", ".join(offered.name for offered in self.models())
        raise InvalidRequest("model", f"There is no model “{model[:40]}” here. There is: {names}.")

    def _enter(self, visitor: str) -> None:
        with self._lock:
            own = self._places[visitor]
            if visitor and own >= self._queue_per_visitor:
                drawings = "a drawing" if own == 1 else f"{own} drawings"
                raise Busy(f"You have {drawings} under way already. Wait for one, or stop it.")
            if self._places.total() >= self._queue_size:
                raise Busy("Many people are drawing and the line is full. Try again in a minute.")
            self._places[visitor] += 1

    def _leave(self, visitor: str) -> None:
        with self._lock:
            self._places -= Counter({visitor: 1})  # drops whoever has none left

    def _work(self, run: Run, engine: Engine) -> None:
        state: State = "failed"
        error = ""
        try:
            self.store.begin(run)
            state, error = self._watch(run, engine)
            note = self.store.save(run, state, error)
            if note and run.snapshot:
                run.show(replace(run.snapshot, notes=(*run.snapshot.notes, note)))
        finally:
            self._leave(run.visitor)
            run.end(state, error)
            with self._lock:
                del self._live[run.id]

    def _watch(self, run: Run, engine: Engine) -> tuple[State, str]:
        """Show the run what its engine yields, to the end. Returns the end's state and error."""
        try:
            with closing(engine.generate(run.request)) as snapshots:
                for snapshot in snapshots:
                    run.show(snapshot)
                    if snapshot.final:
                        return "done", ""
                    if run.stopping:
                        return "stopped", ""
            raise EngineError("The drawing ended before it was finished. Draw it again.")
        except DalleError as error:
            return "failed", str(error)
        except Exception:
            bug = secrets.token_hex(4)
            log.exception("bug %s in run %s", bug, run.id)
            return "failed", f"A fault of ours stopped this drawing (id {bug} in the log)."

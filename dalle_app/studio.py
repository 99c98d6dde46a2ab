"""The flow: a request goes to its engine, and what there is to see comes back.

Knows no front end. The page starts runs that outlive a reload; the API and the terminal iterate
over `draw` and close it to stop.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dalle_app.engines import Engine, ModelState
from dalle_app.errors import Busy, InvalidRequest
from dalle_app.request import ImageRequest, Snapshot
from dalle_app.runs import Run, RunStore

log = logging.getLogger(__name__)


class Studio:
    """Where requests become pictures.

    Args:
        engines: tried in order; the first that offers the request's model draws it.
        store: where finished runs are kept for their visitors.
        queue_size, queue_per_visitor: runs that may wait or be drawn at a time.
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
        self._live: dict[str, Run] = {}
        self._lock = threading.Lock()

    def models(self) -> list[ModelState]:
        """All models of all engines, the default one first."""
        return [model for engine in self.engines for model in engine.models()]

    def draw(self, request: ImageRequest, engine: Engine | None = None) -> Iterator[Snapshot]:
        """Draw a request. Closing the generator stops the work within one step.

        Args:
            engine: one of the caller's own (with a visitor's key, say); else the model's.

        Raises:
            InvalidRequest: the model is not offered, or too many pictures are asked for.
            DalleError: whatever the engine could not do.
        """
        request = request.settle()
        if request.count > self._max_pictures:
            raise InvalidRequest(
                "count", f"{request.count} pictures are too many here; {self._max_pictures} go."
            )
        yield from (engine or self._engine(request.model)).generate(request)

    def start(self, request: ImageRequest, visitor: str, engine: Engine | None = None) -> Run:
        """Draw a request in the background, for a page that may be reloaded.

        Args:
            visitor: an id that only this visitor's browser knows.
            engine: as in `draw`.

        Raises:
            Busy: too many runs wait already, in all or of this visitor.
            InvalidRequest: as `draw`.
        """
        request = request.settle()
        engine = engine or self._engine(request.model)  # refuse an unknown model at once
        run = Run(visitor, request)
        with self._lock:
            own = sum(live.visitor == visitor for live in self._live.values())
            if own >= self._queue_per_visitor:
                raise Busy(f"You have {own} drawings under way. Wait for one, or stop it.")
            if len(self._live) >= self._queue_size:
                raise Busy("Many people are drawing and the line is full. Try again in a minute.")
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
        with self._lock:
            live = [run for run in self._live.values() if run.visitor == visitor]
        kept = self.store.of_visitor(visitor, limit)
        seen = {run.id for run in live}
        every = live + [run for run in kept if run.id not in seen]
        return sorted(every, key=lambda run: run.created, reverse=True)[:limit]

    def close(self) -> None:
        """Stop every run and free the engines."""
        with self._lock:
            live = list(self._live.values())
        for run in live:
            run.stop()
        for engine in self.engines:
            engine.close()

    def _engine(self, model: str) -> Engine:
        for engine in self.engines:
            if any(offered.name == model for offered in engine.models()):
                return engine
        names = ", ".join(offered.name for offered in self.models())
        raise InvalidRequest("model", f"There is no model “{model[:40]}” here. There is: {names}.")

    def _work(self, run: Run, engine: Engine) -> None:
        try:
            run.follow_engine(self.draw(run.request, engine))
            if run.snapshot and run.snapshot.images:
                note = self.store.save(run)
                if note:
                    run.show(replace(run.snapshot, notes=(*run.snapshot.notes, note)))
        finally:
            run.finish()
            with self._lock:
                del self._live[run.id]

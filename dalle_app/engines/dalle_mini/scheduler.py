"""The one owner of the model: requests go in, snapshots come out, callers only wait.

One worker thread loads models and draws; nothing else ever touches them. Today it draws one
request at a time, in the order of arrival; callers cannot tell. Knows no pictures and no pages.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing

import torch

from dalle_app.engines.dalle_mini.checkpoint import Checkpoint
from dalle_app.engines.dalle_mini.device import thread_count
from dalle_app.engines.dalle_mini.drawing import draw
from dalle_app.engines.dalle_mini.model import Model
from dalle_app.errors import Busy, DalleError, EngineError
from dalle_app.request import ImageRequest, Snapshot

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.2  # between two snapshots that show the same pictures
SHUT_DOWN = "The program was shut down before the pictures were done. Draw them again."
PULSE_SECONDS = 0.5  # a waiting caller gets the word back this often, so that it can close


class Ticket:
    """A request's place in the line. Iterate for its snapshots; close to give it up."""

    def __init__(self, request: ImageRequest, checkpoint: Checkpoint) -> None:
        self.request, self.checkpoint = request, checkpoint
        self.given_up = threading.Event()
        self._events: queue.SimpleQueue[Snapshot | BaseException] = queue.SimpleQueue()

    def waiting(self, ahead: int, *notes: str) -> None:
        """Say that so many requests come first."""
        image = self.checkpoint.image
        self._events.put(Snapshot(0, image.tokens, image.grid, ahead=ahead, notes=notes))

    def put(self, event: Snapshot | BaseException) -> None:
        """A snapshot for the caller, or the error to raise there."""
        self._events.put(event)

    def snapshots(self) -> Iterator[Snapshot]:
        """Until the last one; the present one again if nothing happens for a while."""
        last: Snapshot | None = None
        while last is None or not last.final:
            try:
                event = self._events.get(timeout=PULSE_SECONDS)
            except queue.Empty:
                if last is not None:
                    yield last
                continue
            if isinstance(event, BaseException):
                raise event
            last = event
            yield last


class Scheduler:
    """Owns the model and its thread.

    Args:
        load: makes a checkpoint's model; called in the worker only, once per change of model.
        room: requests that may wait, besides the one that is drawn.
    """

    def __init__(self, load: Callable[[Checkpoint], Model], room: int = 100) -> None:
        self._load, self._room = load, room
        self._waiting: deque[Ticket] = deque()
        self._current: Ticket | None = None
        self._wanted: deque[Checkpoint] = deque()  # one to be loaded while nobody waits
        self._model: Model | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None

    def submit(self, request: ImageRequest, checkpoint: Checkpoint) -> Ticket:
        """Join the line.

        Raises:
            Busy: the line is full.
            EngineError: the scheduler is closed.
        """
        ticket = Ticket(request, checkpoint)
        with self._changed:
            if len(self._waiting) >= self._room:
                raise Busy("Many people are drawing and the line is full. Try again in a minute.")
            self._start()
            ticket.waiting(len(self._waiting) + (self._current is not None))
            self._waiting.append(ticket)
            self._changed.notify_all()
        return ticket

    def give_up(self, ticket: Ticket) -> None:
        """Leave the line, or stop the drawing within a step. Does not wait for either."""
        ticket.given_up.set()
        with self._changed:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                self._tell_places()

    def warm_up(self, *checkpoints: Checkpoint) -> None:
        """Load the first of these that can be, in the background, unless a request comes before."""
        with self._changed:
            self._start()
            self._wanted = deque(checkpoints)
            self._changed.notify_all()

    def close(self) -> None:
        """Stop drawing, fail whoever waits, free the model, and wait for all that."""
        with self._changed:
            self._closed = True
            if self._current is not None:
                self._current.given_up.set()
            self._changed.notify_all()
            worker = self._worker
        if worker is not None:
            worker.join()

    def _start(self) -> None:
        if self._closed:
            raise EngineError("The program is shutting down. Draw again when it is back.")
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="dalle-mini", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if isinstance(job, Checkpoint):
                self._warm(job)
            else:
                self._draw(job)
        self._model = None

    def _next(self) -> Ticket | Checkpoint | None:
        """The next thing to do, waiting for it; None when closed."""
        with self._changed:
            self._current = None
            self._changed.wait_for(lambda: self._closed or self._waiting or self._wanted)
            if self._closed:
                for ticket in self._waiting:
                    ticket.put(EngineError(SHUT_DOWN))
                self._waiting.clear()
                return None
            if self._waiting:
                self._wanted.clear()  # the request's own model shall stay
                self._current = self._waiting.popleft()
                self._tell_places()
                return self._current
            return self._wanted.popleft()

    def _tell_places(self) -> None:
        for place, ticket in enumerate(self._waiting):
            ticket.waiting(place + (self._current is not None))

    def _warm(self, checkpoint: Checkpoint) -> None:
        """Load it, and no other any more; a failure leaves the rest to be tried."""
        try:
            self._model_of(checkpoint)
        except DalleError as error:
            # The first request for it fails with the same error, where a person sees it.
            log.error("%s could not be loaded: %s", checkpoint.name, error)
        except Exception:
            log.exception("%s could not be loaded", checkpoint.name)
        else:
            with self._changed:
                self._wanted.clear()

    def _draw(self, ticket: Ticket) -> None:
        try:
            if self._model is None or self._model.checkpoint.name != ticket.checkpoint.name:
                ticket.waiting(0, f"Loading {ticket.checkpoint.name}.")
            model = self._model_of(ticket.checkpoint)
            shown, shown_at = None, 0.0
            with closing(draw(model, ticket.request)) as snapshots:
                for snapshot in snapshots:
                    if ticket.given_up.is_set():
                        ticket.put(EngineError(SHUT_DOWN))  # unless it is the caller who left
                        return
                    now = time.monotonic()
                    fresh = shown is None or snapshot.images is not shown.images
                    if fresh or snapshot.final or now - shown_at >= PROGRESS_SECONDS:
                        ticket.put(snapshot)
                        shown, shown_at = snapshot, now
        except Exception as error:  # noqa: BLE001  # raised again in the caller's thread
            ticket.put(error)

    def _model_of(self, checkpoint: Checkpoint) -> Model:
        """The model, loaded if another one is, or none; the old one is freed first."""
        if self._model is None or self._model.checkpoint != checkpoint:
            self._model = None
            self._model = self._load(checkpoint)
            torch.set_num_threads(thread_count(checkpoint.transformer.width))
        return self._model

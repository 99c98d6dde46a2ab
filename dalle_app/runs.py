"""A run: one request being drawn for one visitor, and what can be seen of it, then and after.

Knows nothing of engines, pages or files.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from dalle_app.request import ImageRequest, Snapshot

State = Literal["drawing", "done", "stopped", "failed"]


class Run:
    """One request of one visitor, while it is drawn and after.

    One thread feeds it with `show` and `end`; any number of threads may read it, `follow` it or
    ask it to `stop`. The state leaves `drawing` last of all: whoever sees another one sees the last
    snapshot too.

    Attributes:
        id: 32 random hex digits; who knows it may see the pictures.
        created: seconds since 1970.
        snapshot: the newest one, None before the first.
        error: for the person, when `state` is `failed`.
    """

    def __init__(
        self, visitor: str, request: ImageRequest, run_id: str = "", created: float | None = None
    ) -> None:
        self.id = run_id or secrets.token_hex(16)
        self.visitor = visitor
        self.request = request
        self.created = time.time() if created is None else created
        self.state: State = "drawing"
        self.snapshot: Snapshot | None = None
        self.error = ""
        self._version = 0
        self._stopping = threading.Event()
        self._changed = threading.Condition()

    def stop(self) -> None:
        """Ask for the end, which comes within a step; what is drawn so far stays."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether someone asked for the end."""
        return self._stopping.is_set()

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.state != "drawing"

    def follow(self) -> Iterator[Snapshot]:
        """Yield the newest snapshot whenever there is a new one, until the run is over.

        Of a run that is over: its last one, at once.
        """
        seen = 0
        while True:
            with self._changed:
                while self._version == seen and not self.over:
                    self._changed.wait()
                fresh = self._version > seen
                seen, snapshot, over = self._version, self.snapshot, self.over
            if fresh and snapshot is not None:
                yield snapshot
            if over:
                return

    def wait(self, seconds: float) -> bool:
        """Wait for the end, at most so long. Returns whether it came."""
        with self._changed:
            return self._changed.wait_for(lambda: self.over, seconds)

    def show(self, snapshot: Snapshot) -> None:
        """Make a snapshot the newest. One without pictures keeps those seen before."""
        with self._changed:
            if self.snapshot and not snapshot.images:
                snapshot = replace(snapshot, images=self.snapshot.images)
            self.snapshot = snapshot
            self._version += 1
            self._changed.notify_all()

    def end(self, state: State, error: str = "") -> None:
        """Say how it ended, and let all followers go."""
        with self._changed:
            self.error = error
            self.state = state
            self._changed.notify_all()

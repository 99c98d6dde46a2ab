"""The status line: where a run stands, in words.

Knows nothing of HTML, Gradio or how the words get to the page.
"""

from __future__ import annotations

from dataclasses import dataclass

from dalle_app.request import Snapshot
from dalle_app.runs import Run
from dalle_app.ui.words import say, say_pictures, say_place, say_time


@dataclass(frozen=True, slots=True)
class Status:
    """What the line above the grid says.

    Attributes:
        text: the line.
        announcement: what a screen reader is told: changes when the run's state does, not at every
            step. Empty says nothing.
        notes: further sentences, below the line.
        progress: 0…1 while drawing, else None.
        failed: the text is an error's.
    """

    text: str = ""
    announcement: str = ""
    notes: tuple[str, ...] = ()
    progress: float | None = None
    failed: bool = False


def starting() -> Status:
    """Between the click and the first news of the run."""
    return Status(say("starting"), progress=0.0)


def status_of_run(run: Run, waiting: int = 0) -> Status:
    """Where `run` stands, with `waiting` more of the same visitor behind it."""
    snapshot = run.snapshot
    if run.state == "failed":
        return Status(run.error, run.error, failed=True)
    if run.state == "done":
        text = say("done", pictures=say_pictures(run.request.count))
        return Status(text, text, snapshot.notes if snapshot else ())
    if run.state == "stopped":
        text = _stopped(snapshot)
        return Status(text, text, snapshot.notes if snapshot else ())
    return _drawing(run, snapshot, waiting) if snapshot else starting()


def _drawing(run: Run, snapshot: Snapshot, waiting: int) -> Status:
    more = [say("more_waiting", count=waiting)] if waiting else []
    left = snapshot.seconds_left
    if snapshot.ahead:
        place = snapshot.ahead + 1
        line = [say("next_in_line") if place == 2 else say("in_line", place=say_place(place))]
        line += [say("in_line_time", time=say_time(left))] if left is not None else []
        return Status(", ".join([*line, *more]), line[0], snapshot.notes, 0.0)
    drawing = say("drawing", pictures=say_pictures(run.request.count))
    rows = snapshot.rows
    if rows:
        where = say("row", row=min(snapshot.row + 1, rows), rows=rows)
    else:
        where = say("step", percent=100 * snapshot.step // max(snapshot.of, 1))
    parts = [drawing, where]
    parts += [say("left", time=say_time(left))] if left is not None else []
    progress = snapshot.step / max(snapshot.of, 1)
    return Status(" · ".join([*parts, *more]), drawing, snapshot.notes, progress)


def _stopped(snapshot: Snapshot | None) -> str:
    if snapshot is None or not snapshot.images:
        return say("stopped_early")
    if not snapshot.rows:
        return say("stopped_without_rows")
    return say("stopped", row=min(snapshot.row + 1, snapshot.rows), rows=snapshot.rows)

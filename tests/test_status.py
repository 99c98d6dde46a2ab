"""The line above the grid, in every state of a run."""

from __future__ import annotations

from dalle_app.request import ImageRequest, Snapshot
from dalle_app.runs import Run
from dalle_app.ui.status import status_of_run


def run_at(snapshot: Snapshot | None) -> Run:
    run = Run("visitor", ImageRequest("a harp", seed=1))
    if snapshot:
        run.show(snapshot)
    return run


def test_a_drawing_run_tells_row_and_time_left_and_who_waits_behind() -> None:
    run = run_at(Snapshot(32, 64, rows=8, seconds_left=2.2))
    status = status_of_run(run, waiting=1)
    assert status.text == "Drawing 9 pictures · row 5 of 8 · about 3 s left · 1 more waiting"
    assert status.progress == 0.5


def test_a_waiting_run_tells_its_place_in_words() -> None:
    assert status_of_run(run_at(Snapshot(0, 64, ahead=1))).text == "You are next"
    status = status_of_run(run_at(Snapshot(0, 64, ahead=2, seconds_left=20.0)))
    assert status.text == "You are third in line, about 20 s"
    assert "number 13" in status_of_run(run_at(Snapshot(0, 64, ahead=12))).text


def test_what_a_screen_reader_is_told_does_not_change_at_every_step() -> None:
    first = status_of_run(run_at(Snapshot(8, 64, rows=8, seconds_left=9.0)))
    later = status_of_run(run_at(Snapshot(40, 64, rows=8, seconds_left=3.0)))
    assert first.announcement == later.announcement == "Drawing 9 pictures"


def test_an_engine_without_rows_shows_percent() -> None:
    assert "25 %" in status_of_run(run_at(Snapshot(1, 4))).text


def test_notes_of_the_engine_are_shown_while_drawing_and_after() -> None:
    notes = ("pocket has never seen an armchair. It will guess.",)
    run = run_at(Snapshot(64, 64, rows=8, notes=notes))
    assert status_of_run(run).notes == notes
    run.end("done")
    assert status_of_run(run).notes == notes


def test_a_stopped_run_tells_where_and_a_failed_one_why() -> None:
    early = run_at(None)
    early.end("stopped")
    assert status_of_run(early).text == "Stopped before there was anything to see."
    failed = run_at(None)
    failed.end("failed", "The weights are damaged. Install them again.")
    status = status_of_run(failed)
    assert status.failed
    assert status.text == status.announcement == "The weights are damaged. Install them again."

"""The flow, with an engine of coloured squares that can be held between two steps."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from squares import STEPS, Squares

from dalle_app.errors import Busy, EngineError, InvalidRequest
from dalle_app.request import ImageRequest, Snapshot
from dalle_app.run_store import RunStore
from dalle_app.runs import Run
from dalle_app.studio import Studio

HARP = ImageRequest("a blue harp", seed=6, count=4)
SECONDS = 20  # for what comes at once unless it never comes


@pytest.fixture
def squares() -> Squares:
    return Squares()


@pytest.fixture
def studio(squares: Squares, tmp_path: Path) -> Iterator[Studio]:
    store = RunStore(tmp_path / "runs", 3600, 10**6)
    opened = Studio([squares], store, queue_size=3, queue_per_visitor=2, max_pictures=9)
    yield opened
    opened.close()


def until(run: Run, step: int) -> None:
    """Wait until a run shows this step."""
    for snapshot in run.follow():
        if snapshot.step >= step:
            return


def test_a_run_is_drawn_in_the_background_and_kept(studio, squares):
    run = studio.start(HARP, "ada")
    assert run.wait(SECONDS)
    assert (run.state, run.error) == ("done", "")
    assert run.snapshot.final
    assert len(run.snapshot.images) == 4
    assert studio.run(run.id) is run
    assert studio.runs("ada") == [run]


def test_a_seed_is_settled_before_the_drawing_begins(studio):
    run = studio.start(ImageRequest("a blue harp"), "ada")
    assert run.request.seed is not None
    assert run.wait(SECONDS)
    assert {image.recipe.request for image in run.snapshot.images} == {run.request}


def test_two_followers_both_see_it_to_the_end(studio, squares):
    squares.gate.clear()
    run = studio.start(HARP, "ada")
    seen: list[list[Snapshot]] = [[], []]
    threads = [
        threading.Thread(target=lambda mine=mine: mine.extend(run.follow())) for mine in seen
    ]
    for thread in threads:
        thread.start()
    squares.gate.set()
    for thread in threads:
        thread.join(SECONDS)
    for snapshots in seen:
        assert [s.step for s in snapshots] == sorted(s.step for s in snapshots)
        assert snapshots[-1].final


def test_following_a_run_that_is_over_gives_its_last_snapshot_once(studio):
    run = studio.start(HARP, "ada")
    assert run.wait(SECONDS)
    assert [snapshot.step for snapshot in run.follow()] == [STEPS]


def test_stop_acts_within_a_step_and_keeps_what_is_there(studio, squares):
    squares.gate.clear()
    squares.hold_from = 3
    run = studio.start(HARP, "ada")
    until(run, 2)
    run.stop()
    assert run.wait(SECONDS)
    assert (run.state, run.snapshot.step, len(run.snapshot.images)) == ("stopped", 2, 4)
    assert squares.ended.acquire(timeout=SECONDS)


def test_stop_while_the_engine_waits_frees_its_place(studio, squares):
    squares.gate.clear()
    run = studio.start(HARP, "ada")
    until(run, 0)
    run.stop()
    assert run.wait(SECONDS)
    assert (run.state, run.snapshot.step) == ("stopped", 0)
    assert squares.ended.acquire(timeout=SECONDS)
    assert studio.start(HARP, "ada").id != run.id


def test_an_error_keeps_the_pictures_seen_before_and_its_sentence(studio, squares):
    squares.error = EngineError("The pencil broke. Sharpen it.")
    run = studio.start(HARP, "ada")
    assert run.wait(SECONDS)
    assert (run.state, run.error) == ("failed", "The pencil broke. Sharpen it.")
    assert len(run.snapshot.images) == 4


def test_a_bug_shows_an_id_and_logs_the_rest(studio, squares, caplog):
    squares.error = RuntimeError("a secret detail")
    run = studio.start(HARP, "ada")
    assert run.wait(SECONDS)
    assert run.state == "failed"
    assert "secret" not in run.error
    with caplog.at_level(logging.ERROR):
        bug = run.error.partition("(id ")[2][:8]
    assert bug in caplog.text
    assert "a secret detail" in caplog.text


def test_an_engine_that_ends_early_is_a_failure_and_not_an_endless_drawing(studio, squares):
    squares.generate = lambda request: iter_early(request)  # type: ignore[method-assign]
    run = studio.start(HARP, "ada")
    assert run.wait(SECONDS)
    assert run.state == "failed"
    assert "before it was finished" in run.error


def iter_early(request: ImageRequest) -> Iterator[Snapshot]:
    yield Snapshot(1, 2)


def test_one_visitor_and_all_together_have_a_limit_and_every_end_frees_a_place(studio, squares):
    squares.gate.clear()
    runs = [studio.start(HARP, "ada"), studio.start(HARP, "ada")]
    with pytest.raises(Busy, match="2 drawings under way"):
        studio.start(HARP, "ada")
    runs.append(studio.start(HARP, "bob"))
    with pytest.raises(Busy, match="line is full"):
        studio.start(HARP, "eve")
    with pytest.raises(Busy, match="line is full"):
        next(studio.draw(HARP))
    squares.gate.set()
    assert all(run.wait(SECONDS) for run in runs)
    assert [snapshot.final for snapshot in studio.draw(HARP, "ada")][-1]
    assert studio._places.total() == 0


def test_draw_takes_a_place_only_while_it_is_iterated(studio, squares):
    drawing = studio.draw(HARP, "ada")
    next(drawing)
    assert studio._places == {"ada": 1}
    drawing.close()
    assert studio._places.total() == 0
    assert squares.ended.acquire(timeout=SECONDS)


def test_too_many_pictures_and_unknown_models_are_refused_at_once(studio):
    with pytest.raises(InvalidRequest, match="16 pictures are too many") as caught:
        studio.start(ImageRequest("x", count=16), "ada")
    assert caught.value.field == "count"
    with pytest.raises(InvalidRequest, match=r"no model “colossus” here\. There is: pocket"):
        studio.start(ImageRequest("x", model="colossus", count=1), "ada")
    with pytest.raises(InvalidRequest):
        next(studio.draw(ImageRequest("x", count=16)))


def test_an_engine_of_the_callers_own_draws_models_that_nobody_else_offers(studio):
    run = studio.start(ImageRequest("x", model="far-away", count=1), "ada", engine=Squares())
    assert run.wait(SECONDS)
    assert run.state == "done"


def test_a_visitor_sees_no_runs_of_others_and_nobody_sees_none(studio):
    run = studio.start(HARP, "ada")
    nobody = studio.start(HARP, "")
    assert run.wait(SECONDS)
    assert nobody.wait(SECONDS)
    assert studio.runs("bob") == studio.runs("") == []
    assert studio.runs("ada") == [run]


def test_runs_are_newest_first_and_the_live_one_is_among_them(studio, squares):
    first = studio.start(HARP, "ada")
    assert first.wait(SECONDS)
    squares.gate.clear()
    second = studio.start(HARP, "ada")
    assert studio.runs("ada") == [second, first]
    assert studio.runs("ada", limit=1) == [second]


def test_closing_stops_the_runs_keeps_their_pictures_and_frees_the_engines(
    studio, squares, tmp_path
):
    squares.gate.clear()
    squares.hold_from = 3
    run = studio.start(HARP, "ada")
    until(run, 2)
    studio.close()
    assert run.over
    assert squares.closed
    kept = RunStore(tmp_path / "runs", 3600, 10**6).load(run.id)
    assert kept is not None
    assert len(kept.snapshot.images) == 4

"""Kept runs survive restarts, full disks and damage, and make room by age and by size."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from dalle_app.recipe import Recipe
from dalle_app.request import GeneratedImage, ImageRequest, Snapshot
from dalle_app.run_store import CUT_OFF, RunStore
from dalle_app.runs import Run

HARP = ImageRequest("a blue harp · синяя арфа 🪕", seed=6, count=4, guidance=1.5)


def drawn(visitor: str = "ada", pictures: int = 4, created: float | None = None) -> Run:
    """A run whose pictures are there, before its end."""
    run = Run(visitor, HARP, created=created)
    images = tuple(
        GeneratedImage(Image.new("RGB", (32, 32), (k, 0, 0)), Recipe(HARP, k, "squares"))
        for k in range(pictures)
    )
    run.show(Snapshot(64, 64, 8, images, notes=("It will guess.",)))
    return run


def store(folder: Path, seconds: float = 3600, size: int = 10**6) -> RunStore:
    return RunStore(folder / "runs", seconds, size)


def keep(store: RunStore, run: Run) -> str:
    store.begin(run)
    note = store.save(run, "done", "")
    run.end("done")
    return note


def test_a_restart_brings_a_run_back_whole(tmp_path):
    run = drawn()
    assert keep(store(tmp_path), run) == ""
    back = store(tmp_path).load(run.id)
    assert (back.id, back.visitor, back.request, back.created) == (
        run.id, "ada", HARP, run.created,
    )  # fmt: skip
    assert (back.state, back.error, back.over) == ("done", "", True)
    assert back.snapshot.notes == ("It will guess.",)
    assert (back.snapshot.final, back.snapshot.rows) == (True, 8)
    assert [image.recipe for image in back.snapshot.images] == [
        Recipe(HARP, k, "squares") for k in range(4)
    ]
    assert back.snapshot.images[2].picture.getpixel((0, 0)) == (2, 0, 0)


def test_a_run_cut_off_by_a_restart_comes_back_stopped_with_its_prompt(tmp_path):
    run = Run("ada", HARP)
    store(tmp_path).begin(run)
    back = store(tmp_path).load(run.id)
    assert (back.state, back.request) == ("stopped", HARP)
    assert back.snapshot.notes == (CUT_OFF,)
    assert [kept.id for kept in store(tmp_path).of_visitor("ada", 5)] == [run.id]


def test_a_failed_run_is_kept_with_its_sentence_and_without_pictures(tmp_path):
    run = Run("ada", HARP)
    store(tmp_path).save(run, "failed", "The pencil broke.")
    back = store(tmp_path).load(run.id)
    assert (back.state, back.error) == ("failed", "The pencil broke.")
    assert back.snapshot.images == ()


def test_a_full_disk_loses_nothing_that_is_in_memory_and_says_so(tmp_path, monkeypatch):
    kept, run = store(tmp_path), drawn()

    def full(*args: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("dalle_app.run_store.save_png", full)
    note = keep(kept, run)
    assert note == (
        "These pictures could not be kept on the server (No space left on device). Save them now."
    )
    assert kept.load(run.id) is run
    assert kept.of_visitor("ada", 5) == [run]
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_at_the_start_and_loses_nothing(tmp_path):
    (tmp_path / "runs").write_text("a file stands here")
    kept, run = store(tmp_path), drawn()
    assert "Set DALLE_DATA_DIR" in kept.check()
    assert "could not be kept" in keep(kept, run)
    assert kept.load(run.id) is run


def test_a_good_folder_passes_the_check_and_is_left_as_it_was(tmp_path):
    assert store(tmp_path).check() == ""
    assert list((tmp_path / "runs").iterdir()) == []


def age(folder: Path, run: Run, seconds: float) -> None:
    """Make a kept run older."""
    there = folder / "runs" / run.id
    facts = json.loads((there / "run.json").read_text())
    facts["created"] -= seconds
    (there / "run.json").write_text(json.dumps(facts))
    changed = there.stat().st_mtime - seconds
    os.utime(there, (changed, changed))


def test_runs_past_their_time_are_not_shown_and_are_removed(tmp_path):
    old, new = drawn(), drawn()
    keep(store(tmp_path), old)
    age(tmp_path, old, 7200)
    kept = store(tmp_path)
    assert kept.load(old.id) is None
    assert kept.of_visitor("ada", 5) == []
    keep(kept, new)
    assert [folder.name for folder in (tmp_path / "runs").iterdir()] == [new.id]


def test_memory_forgets_runs_past_their_time_too(tmp_path):
    kept, run = store(tmp_path), drawn(created=1.0)
    keep(kept, run)
    assert kept.load(run.id) is None
    assert kept.of_visitor("ada", 5) == []


def test_the_oldest_make_room_when_all_are_too_large_together(tmp_path):
    kept = store(tmp_path)
    first, second, third = runs = [drawn() for _ in range(3)]
    for place, run in enumerate(runs):
        keep(kept, run)
        age(tmp_path, run, 300 - 100 * place)
    one = sum(file.stat().st_size for file in (tmp_path / "runs" / first.id).iterdir())
    store(tmp_path, size=int(2.5 * one)).sweep()
    left = {folder.name for folder in (tmp_path / "runs").iterdir()}
    assert left == {second.id, third.id}


def test_memory_is_bounded_and_the_disk_serves_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr("dalle_app.run_store._MEMORY_PIXELS", 2 * 4 * 32 * 32)
    kept = store(tmp_path)
    runs = [drawn() for _ in range(4)]
    for run in runs:
        keep(kept, run)
    assert list(kept._memory) == [run.id for run in runs[2:]]
    back = kept.load(runs[0].id)
    assert back is not runs[0]
    assert len(back.snapshot.images) == 4


def test_the_sweep_touches_nothing_that_is_not_a_run(tmp_path):
    kept = store(tmp_path, seconds=0)
    foreign = tmp_path / "runs" / "holiday"
    foreign.mkdir(parents=True)
    kept.sweep()
    assert foreign.is_dir()


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "run.json").write_text("{"),
        lambda folder: (folder / "run.json").write_text("[]"),
        lambda folder: (folder / "run.json").write_text('{"visitor": "ada"}'),
        lambda folder: (folder / "run.json").write_bytes(b"\xff\xfe"),
        lambda folder: (folder / "run.json").unlink(),
        lambda folder: (folder / "2.png").unlink(),
        lambda folder: (folder / "2.png").write_bytes(b""),
        lambda folder: (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:-40]),
        lambda folder: (folder / "2.png").write_bytes(b"<html>"),
        lambda folder: change(folder, state="dancing"),
        lambda folder: change(folder, images="many"),
        lambda folder: change(folder, request={"prompt": ""}),
        lambda folder: change(folder, request=7),
        lambda folder: change(folder, notes=None),
    ],
)
def test_a_damaged_run_is_as_if_it_were_not_there(tmp_path, damage):
    good, bad = drawn(), drawn()
    for run in (good, bad):
        keep(store(tmp_path), run)
    damage(tmp_path / "runs" / bad.id)
    kept = store(tmp_path)
    assert kept.load(bad.id) is None
    assert [run.id for run in kept.of_visitor("ada", 5)] == [good.id]


def change(folder: Path, **values: object) -> None:
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**facts, **values}))


@pytest.mark.parametrize("run_id", ["", "..", "../../etc", "f" * 31, "F" * 32, "f" * 32 + "\n"])
def test_an_id_that_is_none_of_ours_reads_nothing(tmp_path, run_id):
    assert store(tmp_path).load(run_id) is None

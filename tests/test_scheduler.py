"""The scheduler owns the model: one load, one line, nobody disturbs anybody."""

import threading
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import pixels
from random_checkpoint import write_pocket_like

from dalle_app.engines.dalle_mini import scheduler as scheduler_module
from dalle_app.engines.dalle_mini.checkpoint import Checkpoint, read_checkpoint
from dalle_app.engines.dalle_mini.decoder import Row
from dalle_app.engines.dalle_mini.device import Device
from dalle_app.engines.dalle_mini.model import Model, load_model
from dalle_app.engines.dalle_mini.scheduler import Scheduler, Ticket
from dalle_app.errors import Busy, CheckpointError, EngineError
from dalle_app.request import ImageRequest, Snapshot

CPU = Device("cpu", "for a test")
HARP = ImageRequest("a blue harp", seed=7, count=4, model="tiny")
CAT = ImageRequest("a red cat", seed=8, count=2, model="tiny")


@pytest.fixture(scope="module")
def model(tiny: Checkpoint) -> Model:
    return load_model(tiny, CPU, "float32")


class Gated(Model):
    """A model that takes a step only when it is let."""

    gate: threading.Semaphore
    steps: int

    def decode(self, rows: Sequence[Row]) -> Iterator[torch.Tensor]:
        for tokens in super().decode(rows):
            self.gate.acquire()
            object.__setattr__(self, "steps", self.steps + 1)
            yield tokens


@pytest.fixture
def gated(model: Model) -> Gated:
    parts = {name: getattr(model, name) for name in Model.__dataclass_fields__}
    gated = Gated(**parts)
    object.__setattr__(gated, "gate", threading.Semaphore(0))
    object.__setattr__(gated, "steps", 0)
    return gated


def finish(ticket: Ticket) -> Snapshot:
    *_, last = ticket.snapshots()
    return last


def until(snapshots: Iterator[Snapshot], **wanted: object) -> Snapshot:
    return next(s for s in snapshots if all(getattr(s, k) == v for k, v in wanted.items()))


def test_the_model_is_loaded_once_whatever_the_number_of_threads(tiny: Checkpoint) -> None:
    loads = []

    def load(checkpoint: Checkpoint) -> Model:
        loads.append(checkpoint.name)
        return load_model(checkpoint, CPU, "float32")

    scheduler = Scheduler(load)
    scheduler.warm_up(tiny)
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: finish(scheduler.submit(CAT, tiny)), range(6)))
    scheduler.close()
    assert loads == ["tiny"]
    assert all(snapshot.final for snapshot in done)


def test_warming_up_goes_on_to_the_next_model_and_tells_a_failure_in_one_line(
    tiny: Checkpoint, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = threading.Event()

    def load(checkpoint: Checkpoint) -> Model:
        if checkpoint is not tiny:
            raise CheckpointError("encoder.pt is a web page.")
        loaded.set()
        return model

    scheduler = Scheduler(load)
    scheduler.warm_up(replace(tiny, name="broken"), tiny)
    assert loaded.wait(60)
    scheduler.close()
    assert [record.getMessage() for record in caplog.records] == [
        "broken could not be loaded: encoder.pt is a web page."
    ]
    assert caplog.records[0].exc_info is None


def test_a_request_ends_the_warming_up_because_its_own_model_shall_stay(
    tiny: Checkpoint, gated: Gated
) -> None:
    loads = []

    def load(checkpoint: Checkpoint) -> Model:
        loads.append(checkpoint.name)
        return gated

    scheduler = Scheduler(load)
    drawn, waiting = scheduler.submit(CAT, tiny), scheduler.submit(CAT, tiny)
    gated.gate.release(1)
    until(drawn.snapshots(), step=1)
    scheduler.warm_up(replace(tiny, name="other"))
    gated.gate.release(2 * 64)
    assert finish(waiting).final
    scheduler.close()
    assert loads == ["tiny"]


def test_two_requests_at_once_get_what_they_get_alone(tiny: Checkpoint, model: Model) -> None:
    scheduler = Scheduler(lambda _: model)
    alone = [pixels(finish(scheduler.submit(request, tiny))) for request in (HARP, CAT)]
    tickets = [scheduler.submit(request, tiny) for request in (HARP, CAT)]
    together = [pixels(finish(ticket)) for ticket in tickets]
    scheduler.close()
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other)


def test_a_request_that_is_given_up_frees_the_model_within_a_step(
    tiny: Checkpoint, gated: Gated
) -> None:
    scheduler = Scheduler(lambda _: gated)
    first, second = scheduler.submit(HARP, tiny), scheduler.submit(CAT, tiny)
    gated.gate.release(16)
    until(first.snapshots(), step=16)
    scheduler.give_up(first)
    gated.gate.release(1 + 64)  # one for the step that is under way, the rest for the second
    assert finish(second).final
    assert gated.steps <= 16 + 1 + 64
    scheduler.close()


def test_everyone_in_the_line_hears_their_place_and_moves_up(
    tiny: Checkpoint, gated: Gated
) -> None:
    scheduler = Scheduler(lambda _: gated)
    drawn, leaving, last = (scheduler.submit(CAT, tiny) for _ in range(3))
    gated.gate.release(1)
    until(drawn.snapshots(), step=1)
    places = last.snapshots()
    assert until(places, ahead=2).step == 0
    scheduler.give_up(leaving)
    assert until(places, ahead=1).step == 0
    gated.gate.release(2 * 64)
    assert until(places, ahead=0)
    assert finish(last).final
    scheduler.close()


def test_who_waits_gets_the_word_back_now_and_then(
    tiny: Checkpoint, gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "PULSE_SECONDS", 0.01)
    scheduler = Scheduler(lambda _: gated)
    ticket = scheduler.submit(CAT, tiny)
    snapshots = ticket.snapshots()
    assert [next(snapshots).step for _ in range(5)] == [0] * 5  # nothing has been drawn
    scheduler.give_up(ticket)
    gated.gate.release(1)
    scheduler.close()


def test_a_full_line_takes_no_more(tiny: Checkpoint, gated: Gated) -> None:
    scheduler = Scheduler(lambda _: gated, room=1)
    drawn = scheduler.submit(CAT, tiny)
    gated.gate.release(1)
    until(drawn.snapshots(), step=1)
    waiting = scheduler.submit(CAT, tiny)
    with pytest.raises(Busy, match="line is full"):
        scheduler.submit(CAT, tiny)
    gated.gate.release(2 * 64)
    assert finish(waiting).final
    scheduler.close()


def test_another_checkpoint_takes_the_place_of_the_first(tiny: Checkpoint, tmp_path: Path) -> None:
    other = read_checkpoint(write_pocket_like(tmp_path / "other", seed=2), tmp_path)
    loaded: list[weakref.ref[Model]] = []
    alive: list[int] = []

    def load(checkpoint: Checkpoint) -> Model:
        alive.append(sum(model() is not None for model in loaded))
        model = load_model(checkpoint, CPU, "float32")
        loaded.append(weakref.ref(model))
        return model

    scheduler = Scheduler(load)
    for checkpoint in (tiny, other, tiny, tiny):
        finish(scheduler.submit(replace(CAT, model=checkpoint.name), checkpoint))
    scheduler.close()
    assert alive == [0, 0, 0], "three loads, each with nothing else in memory"


def test_a_request_that_fails_leaves_the_next_one_alone(tiny: Checkpoint, model: Model) -> None:
    answers: list[Model | Exception] = [CheckpointError("broken"), ValueError("a bug"), model]

    def load(_: Checkpoint) -> Model:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    scheduler = Scheduler(load)
    with pytest.raises(CheckpointError, match="broken"):
        finish(scheduler.submit(CAT, tiny))
    with pytest.raises(ValueError, match="a bug"):
        finish(scheduler.submit(CAT, tiny))
    assert finish(scheduler.submit(CAT, tiny)).final
    scheduler.close()


def test_closing_tells_everyone_who_still_waits(tiny: Checkpoint, gated: Gated) -> None:
    scheduler = Scheduler(lambda _: gated)
    drawn, waiting = scheduler.submit(CAT, tiny), scheduler.submit(CAT, tiny)
    gated.gate.release(1)
    until(drawn.snapshots(), step=1)
    closing = threading.Thread(target=scheduler.close)
    closing.start()
    while not drawn.given_up.wait(10):
        pass
    gated.gate.release(1)
    closing.join()
    for ticket in (drawn, waiting):
        with pytest.raises(EngineError, match="shut down"):
            finish(ticket)


def fail_to_allocate_more_than(pictures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of more pictures than that (two rows each) does not fit."""
    new_empty = torch.Tensor.new_empty

    def limited(self: torch.Tensor, shape: Sequence[int], **more: object) -> torch.Tensor:
        if len(shape) == 5 and shape[1] > 2 * pictures:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return new_empty(self, shape, **more)

    monkeypatch.setattr(torch.Tensor, "new_empty", limited)


def test_too_little_memory_for_all_pictures_draws_the_same_ones_in_turns(
    tiny: Checkpoint, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    nine = replace(HARP, count=9)
    scheduler = Scheduler(lambda _: model)
    whole = finish(scheduler.submit(nine, tiny))
    fail_to_allocate_more_than(2, monkeypatch)
    in_turns = list(scheduler.submit(nine, tiny).snapshots())
    scheduler.close()
    assert np.abs(pixels(whole) - pixels(in_turns[-1])).max() <= 1
    assert in_turns[-1].notes[-1] == "Memory is short here: drawing 2 pictures at a time."
    previews = {tuple(map(id, snapshot.images)) for snapshot in in_turns if snapshot.images}
    assert len(previews) >= 5


def test_too_little_memory_for_one_picture_is_said(
    tiny: Checkpoint, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = Scheduler(lambda _: model)
    with monkeypatch.context() as patch:
        fail_to_allocate_more_than(0, patch)
        with pytest.raises(EngineError, match="too little memory"):
            finish(scheduler.submit(CAT, tiny))
    assert finish(scheduler.submit(CAT, tiny)).final
    scheduler.close()

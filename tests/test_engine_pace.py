"""Previews are promised first and rationed then; the time left is an honest guess."""

import pytest

from dalle_app.engines.dalle_mini.pace import SHARE, Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(step_seconds: float, paint_seconds: float, grid: int = 16) -> tuple[list[int], float]:
    """Previews' steps, and their share of the whole time."""
    clock = Clock()
    pace = Pace(grid**2, clock)
    shown, painting = [], 0.0
    for step in range(1, grid**2 + 1):
        clock.now += step_seconds
        if step % grid == 0 and pace.preview_due(step):
            with pace.painting():
                clock.now += paint_seconds
            shown.append(step)
            painting += paint_seconds
    return shown, painting / (clock.now - 100.0)


@pytest.mark.parametrize("grid", [8, 16])
def test_four_previews_are_promised_however_slow_painting_is(grid: int) -> None:
    shown, _ = run(0.001, 10.0, grid)
    assert len(shown) == 4
    assert all(0 < step < grid**2 for step in shown)


def test_more_previews_come_where_they_cost_little() -> None:
    shown, share = run(0.1, 0.01)
    assert len(shown) == 12  # every row from the first promised one on, but the last
    assert share < SHARE


@pytest.mark.parametrize("paint_seconds", [0.3, 0.5, 0.8])
def test_more_than_the_promised_previews_never_exceed_their_share(paint_seconds: float) -> None:
    shown, share = run(0.1, paint_seconds)
    assert len(shown) == 4 or share <= SHARE


def test_time_left_is_unknown_at_first_then_falls_to_the_last_painting() -> None:
    clock = Clock()
    pace = Pace(64, clock)
    assert pace.seconds_left(1) is None
    clock.now += 16.0
    assert pace.seconds_left(16) == pytest.approx(48.0)
    with pace.painting():
        clock.now += 2.0
    assert pace.preview_due(16)
    assert pace.seconds_left(16) == pytest.approx(48.0 + 2.0 * (3 + 1))

"""What is to be drawn is drawn, also on a machine too busy for its clock."""

from itertools import count
from time import monotonic

import pytest

from icltui.tui.state.change import Change
from tests.tui.conftest import Desk


@pytest.fixture
def late_clock(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Ten seconds pass between any two looks of Textual's timers at the clock: each finds itself late, and skips."""
    seconds = count(0, 10)
    monkeypatch.setattr("textual.timer._time.get_time", lambda: float(next(seconds)))
    return desk


async def test_a_change_is_drawn_however_late_it_is(late_clock: Desk) -> None:
    redraw = late_clock.screen.redraw
    redraw.note(Change.NUMBERS)
    assert redraw.is_awaited
    await late_clock.until(lambda: not redraw.is_awaited)
    assert redraw._timer is None


async def test_a_plot_is_drawn_however_late_it_is(late_clock: Desk) -> None:
    await late_clock.pilot.press("5")
    plots = late_clock.screen.numbers.plots
    plots._may_draw_at = monotonic() + 0.05
    plots.advance()
    assert plots._timer is not None
    await late_clock.until(lambda: plots._timer is None)

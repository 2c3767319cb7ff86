"""The tour: ten steps, each left behind when it was done, whichever way; esc ends it; it is offered once."""

from pathlib import Path

import pytest
from textual.widgets import Input

from icltui.api.messages import LoadModel, ModelLoaded, VerificationEnded
from icltui.storage.paths import example_sessions
from icltui.storage.sessions import read_session
from icltui.tui.app import IcltuiApp
from icltui.tui.dialogs.confirm import UnsavedDialog
from icltui.tui.dialogs.help import HelpDialog
from icltui.tui.dialogs.open_session import OpenSessionDialog
from icltui.tui.dialogs.save_session import SaveSessionDialog
from icltui.tui.state.tour import STEPS, Tour, is_first_start, sight
from icltui.values import LANES
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.fake_client import FakeClient

EXAMPLE = example_sessions()[0]


def step(desk: Desk) -> str:
    """The card's title, if it is there."""
    card = desk.screen.guide.tour_card
    return str(card.border_title) if card.display else ""


def test_every_line_fits_80_columns() -> None:
    assert len(STEPS) == 10
    assert all(len(line) <= 76 for step in STEPS for line in (step.text, step.press))


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_from_the_first_step_to_the_last(size: tuple[int, int], tmp_path: Path) -> None:
    async with open_desk(read_session(EXAMPLE), EXAMPLE, size=size) as desk:
        await desk.settle()
        await desk.screen.run_action("start_tour")
        await desk.until(lambda: step(desk).startswith("Tour 1 of 10"))
        await desk.drawn()
        assert STEPS[0].press in desk.text()
        assert "❯" in desk.text(), "what the card speaks of is in sight"
        await desk.until(lambda: desk.screen.unit == desk.explorer.results.measured.last_unit == 19)
        await desk.press("k")
        assert step(desk).startswith("Tour 1"), "any row is not the one with the mark"
        await desk.until(lambda: desk.screen.unit == desk.explorer.results.measured.last_unit - 1)
        while desk.screen.unit and step(desk).startswith("Tour 1"):
            await desk.press("k")
        assert desk.explorer.results.measured.has_changed(desk.screen.unit)
        await desk.until(lambda: step(desk).startswith("Tour 2"))
        await desk.press("ctrl+r")
        await desk.settle()
        await desk.until(lambda: step(desk).startswith("Tour 3"))
        await desk.press("6")
        await desk.until(lambda: step(desk).startswith("Tour 4"))
        await desk.press("0")
        await desk.until(lambda: step(desk).startswith("Tour 5"))
        await desk.press("ctrl+t")
        desk.client.finish(*samples.generate(LANES))
        await desk.until(lambda: step(desk).startswith("Tour 6"))
        await desk.press("9", "left")
        await desk.until(lambda: step(desk).startswith("Tour 7"))
        await desk.press("p")
        await desk.until(lambda: step(desk).startswith("Tour 8"))
        desk.client.give_way()
        await desk.settle()
        await desk.press("v")
        desk.client.finish(VerificationEnded(verification=samples.VERIFICATION))
        await desk.until(lambda: step(desk).startswith("Tour 9"))
        await desk.press("ctrl+l")
        await desk.until(lambda: isinstance(desk.app.screen, UnsavedDialog))
        await desk.press("d")
        await desk.until(lambda: isinstance(desk.app.screen, OpenSessionDialog))
        await desk.press(*"labels", "enter")
        await desk.until(lambda: step(desk).startswith("Tour 10"))
        assert desk.explorer.document.title == "labels"
        await desk.press("1", "i", "x", "escape")
        assert step(desk), "esc in an editor leaves the editor"
        await desk.press("ctrl+s")
        await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
        desk.app.screen.query_one(Input).value = str(tmp_path / "mine.json")
        await desk.press("enter")
        await desk.until(lambda: any(line.startswith("that was the tour") for line in desk.toasts()))
        assert not desk.screen.guide.tour_card.display


async def test_saved_texts_of_the_same_model_hold_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without ΔW brings no texts that the example lacks, and ΔW on shows what it has: done all the same."""
    session = read_session(EXAMPLE)
    monkeypatch.setattr(samples, "LOADED", ModelLoaded(model=session.model))
    async with open_desk(session, EXAMPLE) as desk:
        await desk.settle()
        await desk.screen.run_action("start_tour")
        await desk.until(lambda: desk.screen.guide.tour)
        desk.screen.unit = next(u for u in range(99) if desk.explorer.results.measured.has_changed(u))
        await desk.until(lambda: step(desk).startswith("Tour 2"))
        await desk.press("ctrl+r")
        await desk.settle()
        await desk.press("6", "0")
        await desk.until(lambda: step(desk).startswith("Tour 5"))
        await desk.press("ctrl+t")
        await desk.settle()
        assert step(desk).startswith("Tour 6")


async def test_the_run_at_the_start_is_not_the_users() -> None:
    async with open_desk(read_session(EXAMPLE), EXAMPLE) as desk:
        await desk.until(lambda: desk.client.job == 1)
        await desk.screen.run_action("start_tour")
        await desk.until(lambda: desk.screen.guide.tour)
        desk.screen.unit = next(u for u in range(99) if desk.explorer.results.measured.has_changed(u))
        await desk.until(lambda: step(desk).startswith("Tour 2"))
        await desk.settle()
        assert step(desk).startswith("Tour 2")


async def test_escape_ends_it_and_keys_stay_keys(desk: Desk) -> None:
    desk.screen.guide.tour_card.show(STEPS[0])
    desk.screen.guide.tour = Tour(sight(desk.explorer, desk.screen.unit))
    await desk.press("z")
    assert desk.screen.maximized is not None
    assert desk.screen.guide.tour_card.is_on_screen
    await desk.press("escape")
    assert desk.screen.guide.tour is None
    assert not desk.screen.guide.tour_card.display
    await desk.press("escape")
    assert desk.screen.maximized is None


async def test_it_opens_the_example_and_asks_before_work_is_lost(desk: Desk) -> None:
    await desk.press("question_mark")
    await desk.until(lambda: isinstance(desk.app.screen, HelpDialog))
    await desk.press("t")
    await desk.until(lambda: step(desk))
    assert desk.explorer.document.path == EXAMPLE
    await desk.press("1", "i", "x", "escape", "ctrl+n")
    await desk.until(lambda: desk.app.screen is not desk.screen)
    await desk.press("c")
    await desk.until(lambda: desk.app.screen is desk.screen)
    assert desk.screen.context.text.startswith("x")


async def test_a_first_start_begins_with_it() -> None:
    app = IcltuiApp(FakeClient(), LoadModel(), read_session(EXAMPLE), EXAMPLE, has_tour=True)
    async with app.run_test(size=(80, 24)) as pilot:
        desk = Desk(app._client, app, pilot)  # type: ignore[arg-type]
        await desk.until(lambda: step(desk).startswith("Tour 1"))


def test_a_start_is_the_first_one_once() -> None:
    assert [is_first_start(), is_first_start()] == [True, False]


def test_where_nothing_can_be_remembered_it_is_not_offered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert not is_first_start()

"""The runs on the screen: stepping, the tree, the note, a fan, and two of them side by side."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.events import Key
from textual.widgets import Input

from icltui.api.messages import Generate
from icltui.storage.sessions import read_session, write_session
from icltui.tui.dialogs.ask_text import AskTextDialog
from icltui.tui.dialogs.comparison import CompareDialog
from icltui.tui.dialogs.confirm import ConfirmDialog
from icltui.tui.dialogs.fan import FanDialog, FanTable
from icltui.tui.dialogs.open_session import OpenSessionDialog
from icltui.tui.dialogs.runs import RunsDialog
from icltui.tui.state.compared_session import ComparedSession
from icltui.tui.state.history import History
from icltui.tui.state.run_grid import grid_of
from icltui.tui.widgets.run_tree import RunTree
from icltui.values import LANES, Run
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk

A = samples.session()
HOSTILE = "[/INST] \x1b[31m\u202e\ud83d 漢字 [b"
B = replace(A, prompt=replace(A.prompt, context=HOSTILE))
SESSION = replace(
    A,
    runs=(
        Run(number=1, session=B, note=HOSTILE),
        Run(number=2, parent=1, session=A),
        Run(number=3, parent=1, session=replace(A, measurement=None, generation=None)),
    ),
    run=2,
)


@pytest.fixture
async def three():
    async with open_desk(SESSION) as desk:
        await desk.until(lambda: desk.client.requests)
        desk.client.finish(samples.LOADED)
        await desk.settle()
        yield desk


async def on(desk: Desk, kind: type) -> None:
    await desk.until(lambda: isinstance(desk.app.screen, kind) and desk.app.screen.is_running)
    await desk.pilot.pause()


async def test_comma_and_full_stop_step_through_the_runs(three: Desk) -> None:
    await three.press("comma")
    await three.until(lambda: three.explorer.history.at == 1)
    await three.drawn()
    assert "[/INST]" in three.text()
    await three.press("full_stop", "full_stop")
    await three.until(lambda: three.explorer.history.at == 3)


async def test_keys_that_come_at_once_step_and_take_no_other_runs_text_for_typing(three: Desk) -> None:
    for key in ("comma", "full_stop", "comma"):
        three.app.post_message(Key(key, None))
    await three.until(lambda: three.explorer.history.at == 1)
    await three.drawn()
    assert len(three.explorer.history.runs) == 3, "no run is made of a text that was never typed"
    assert three.explorer.settings.prompt == B.prompt


async def test_a_session_saved_at_once_after_opening_is_that_session(three: Desk, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    write_session(path, B)
    three.explorer.open(B, path)
    three.screen.files.action_save_session()
    await three.until(lambda: any("saved " in line for line in three.toasts()))
    assert read_session(path).prompt == B.prompt


async def test_a_hostile_moment_is_shown_as_text() -> None:
    odd = replace(A, created="2026-01-01T\x1bc\ud800\u202e1")
    session = replace(A, runs=(Run(number=1, session=odd), Run(number=2, parent=1, session=A)), run=2)
    async with open_desk(session) as desk:
        await desk.press("4", "H")
        await on(desk, RunsDialog)
        await desk.press("k")
        await desk.until(lambda: "2026-01-01" in desk.text())
        assert not {"\x1b", "\ud800", "\u202e"} & {*desk.text()}


async def test_a_prompt_being_typed_is_put_down_before_stepping(three: Desk) -> None:
    three.screen.context.load_text("not run yet")
    await three.press("comma")
    await three.until(lambda: three.explorer.history.at == 1)
    assert three.explorer.history.runs[-1].session.prompt.context == "not run yet"


async def test_the_list_goes_to_the_run_under_its_cursor(three: Desk) -> None:
    await three.press("H")
    await on(three, RunsDialog)
    assert "not run" in three.text()
    await three.press("k", "enter")
    await three.until(lambda: three.explorer.history.at == 1)


async def test_a_note_is_written_and_saved(three: Desk) -> None:
    await three.press("A")
    await on(three, AskTextDialog)
    await three.press(*"seen", "enter")
    await three.until(lambda: three.explorer.history.runs[1].note == "seen")
    assert three.explorer.session("x").runs[1].note == "seen"
    await three.press("H")
    await on(three, RunsDialog)
    assert "seen" in three.text()
    await three.press("a")
    await on(three, AskTextDialog)
    assert three.app.screen.query_one(Input).value == "seen"


async def test_two_runs_stand_side_by_side(three: Desk) -> None:
    await three.press("B")
    await on(three, RunsDialog)
    await three.press("enter")  # the run before the present one
    await on(three, CompareDialog)
    assert three.explorer.other is not None
    assert three.explorer.other.label == "run 1"
    assert "≠ context" in three.text()
    assert "\x1b" not in three.text()
    await three.press("escape", "B")
    await on(three, CompareDialog)
    assert "run 2 beside run 1" in three.text()
    await three.press("escape")
    three.explorer.next_choice("dynamics")
    await three.press("B")
    await on(three, CompareDialog)
    assert "run 2, edited beside run 1" in three.text()
    await three.press("x")
    await three.until(lambda: three.explorer.other is None)


async def test_a_file_can_be_compared_with(three: Desk, tmp_path: Path) -> None:
    write_session(tmp_path / "other.json", B)
    await three.press("B")
    await on(three, RunsDialog)
    await three.press("o")
    await on(three, OpenSessionDialog)
    field = three.app.screen.query_one(Input)
    field.focus()
    field.value = str(tmp_path / "other.json")
    await three.press("enter")
    await on(three, CompareDialog)
    assert three.explorer.other is not None
    assert three.explorer.other.label == "other"


async def test_without_runs_the_list_says_so() -> None:
    async with open_desk() as desk:
        await desk.until(lambda: desk.client.requests)
        await desk.press("H")
        await on(desk, RunsDialog)
        assert "no run yet" in desk.text()
        await desk.press("enter", "c", "a", "x", "escape")
        await desk.until(lambda: desk.app.screen is desk.screen)
        await desk.press("A")
        await desk.until(lambda: any("no run yet" in toast for toast in desk.toasts()))


async def test_strength_by_keys_and_layers_by_range(three: Desk) -> None:
    await three.press("left", "shift+right", "less_than_sign")
    await three.until(lambda: three.explorer.settings.recipe.alpha == 1.44)
    await three.press("r")
    await on(three, AskTextDialog)
    await three.press(*"0,9", "enter")
    await three.until(lambda: "out of range" in three.text())
    await three.press("backspace", *"4-5", "enter")
    await three.until(lambda: three.explorer.ticked == (0, 4, 5))
    three.screen.shown_layer = 3
    await three.press("f")
    await three.until(lambda: three.explorer.ticked == (3, 4, 5))


async def test_the_other_run_is_laid_over_the_plot(three: Desk) -> None:
    await three.press("5")
    three.explorer.compare_with(ComparedSession.of(B, "run 1"))
    await three.drawn()
    await three.until(lambda: "run 1" in three.text())
    three.explorer.compare_with(None)
    await three.until(lambda: "run 1" not in three.text())


# The tree.

FAMILY = samples.family()


@asynccontextmanager
async def family(size: tuple[int, int] = (120, 40)) -> AsyncIterator[Desk]:
    """The tree of four runs, opened."""
    async with open_desk(FAMILY, size=size) as desk:
        await desk.settle()
        await desk.press("H")
        await on(desk, RunsDialog)
        yield desk


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_tree_shows_what_differs_and_the_frame_says_where_one_is(size: tuple[int, int]) -> None:
    async with family(size) as desk:
        await desk.until(lambda: "frozen" in desk.text() or size[1] < 30)
        text = desk.text()
        assert "├─2  α 1 → 0 " in text
        assert "└─3  α 1 → 0.5 " in text
        assert "3 of 4" in text
        assert "Query + ΔW" in text, "of the preview"
        assert "run 3 of 4 · α 1 → 0.5" in text, "behind it, in the frame"


async def test_star_and_search_and_back() -> None:
    async with family() as desk:
        await desk.press("asterisk")
        assert [run.starred for run in desk.explorer.history.runs] == [True, False, True, False]
        await desk.until(lambda: "3★" in desk.text())
        await desk.press("slash", *"frozen")
        await desk.until(lambda: "1 of 4 with" in desk.text())
        assert [line.run.number for line in desk.app.screen.query_one(RunTree).lines] == [4]
        await desk.press("enter", "escape")
        await desk.until(lambda: len(desk.app.screen.query_one(RunTree).lines) == 4)
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.screen)


async def test_pruning_asks_about_what_led_on_and_u_brings_it_back() -> None:
    async with family() as desk:
        await desk.press("d")
        await on(desk, ConfirmDialog)
        assert "run 3 with 1 run below it" in desk.text()
        await desk.press("c")
        await on(desk, RunsDialog)
        assert len(desk.explorer.history.runs) == 4
        await desk.press("j", "d")
        await on(desk, ConfirmDialog)
        assert "with a note" in desk.text()
        await desk.press("p")
        await desk.until(lambda: [run.number for run in desk.explorer.history.runs] == [1, 2, 3])
        await desk.press("d")
        await desk.until(lambda: [run.number for run in desk.explorer.history.runs] == [1, 2])
        assert desk.explorer.history.at == 1
        await desk.press("u", "u")
        await desk.until(lambda: [run.number for run in desk.explorer.history.runs] == [1, 2, 3, 4])
        await desk.press("asterisk", "d")
        await on(desk, ConfirmDialog)
        await desk.press("p", "escape")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_two_marked_runs_are_shown_whole_side_by_side(size: tuple[int, int]) -> None:
    async with family(size) as desk:
        await desk.press("space", "j", "space", "c")
        await on(desk, CompareDialog)
        text = desk.text()
        assert "run 3 beside run 4" in text
        assert "≠ patch" in text
        assert "they part at token 2" in text
        assert text.count("▸") >= 2
        assert desk.explorer.other is None, "nothing is laid over the plots by it"
        await desk.press("escape")
        await on(desk, RunsDialog)


async def test_a_fan_is_begun_by_a_line_watched_and_stopped() -> None:
    async with family() as desk:
        await desk.press("f")
        await on(desk, FanDialog)
        field = desk.app.screen.query_one(Input)
        field.value = "alpha 7"
        await desk.press("enter")
        await desk.until(lambda: "out of range" in desk.text())
        field.value = "n_tokens 1 2 3"
        await desk.until(lambda: "3 runs: tokens 1, 2, 3" in desk.text())
        await desk.press("enter")
        await desk.until(lambda: isinstance(desk.explorer.jobs.request, Generate))
        await desk.until(lambda: "1 of 3" in desk.text() and "waits" in desk.text())
        await desk.press("escape")
        desk.client.finish(*samples.generate(LANES))
        await desk.until(lambda: not desk.explorer.is_fanning)
        assert [run.number for run in desk.explorer.history.runs] == [1, 2, 3, 4, 5]
        await desk.until(lambda: desk.app.screen.query_one(FanTable).grid.points[0].run)
        assert "not run" in desk.text()
        await desk.press("enter")
        await desk.until(lambda: desk.explorer.history.at == 5)


def test_the_grid_of_a_run_is_that_of_its_children_or_of_its_siblings() -> None:
    history = History.of(FAMILY)
    for number in (1, 2, 3):
        grid = grid_of(history, number)
        assert (grid.base, grid.name) == (1, "alpha")
        assert [(point.value, point.run.number) for point in grid.points if point.run] == [
            ("0", 2),
            ("0.5", 3),
            ("1", 1),
        ]
    assert grid_of(history, 4).name == "mode"
    assert grid_of(History(), None).points == ()

"""Every screen closes at any moment, and the program goes on where it was: as it opens, twice, with all the others.

The screens are found by walking the package: one that is new has to be written into ``OPENED`` or ``MADE``.
"""

import asyncio
import importlib
import itertools
import pkgutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from textual.app import App
from textual.events import Key
from textual.screen import Screen

import icltui.tui
from icltui.tui.actions import ACTIONS
from icltui.tui.actions.palette_entries import PaletteOffers
from icltui.tui.dialogs.ask_text import AskTextDialog
from icltui.tui.dialogs.comparison import CompareDialog
from icltui.tui.dialogs.confirm import OVERWRITE, ConfirmDialog, UnsavedDialog
from icltui.tui.dialogs.dialog import ClosesOnce, Dialog
from icltui.tui.dialogs.export import ExportDialog, ExportOption
from icltui.tui.dialogs.fan import FanDialog
from icltui.tui.dialogs.figure_view import FigureView
from icltui.tui.dialogs.help import HelpDialog
from icltui.tui.dialogs.load_model import LoadModelDialog
from icltui.tui.dialogs.manual import ManualDialog
from icltui.tui.dialogs.open_session import OpenSessionDialog
from icltui.tui.dialogs.palette import Palette
from icltui.tui.dialogs.queries import QueriesDialog
from icltui.tui.dialogs.recover import RecoverDialog
from icltui.tui.dialogs.row_texts import RowTextDialog
from icltui.tui.dialogs.runs import RunsDialog
from icltui.tui.dialogs.save_session import SaveSessionDialog
from icltui.tui.dialogs.settings import SettingsDialog
from icltui.tui.main.rows_screen import RowsScreen
from icltui.tui.main.screen import ExplorerScreen
from icltui.tui.state.compared_session import ComparedSession
from icltui.tui.system.autosave import Orphan
from icltui.tui.terminal.pictures import Picture
from icltui.tui.terminal.sure_repaint import SureRepaint
from icltui.values import Run
from tests.thinned import thinned
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk

SESSION = replace(samples.session(), runs=(Run(number=1, session=samples.session()),), run=1)
OTHER = ComparedSession.of(samples.session(), "another")


def orphan() -> Orphan:
    return Orphan(Path("gone.json"), "gone", "", datetime(2026, 1, 1, tzinfo=UTC), False)


OPENED: dict[type[Screen[Any]], str] = {
    HelpDialog: "question_mark",
    RunsDialog: "H",
    FanDialog: "ampersand",
    OpenSessionDialog: "ctrl+l",
    SaveSessionDialog: "ctrl+s",
    UnsavedDialog: "ctrl+l",
    ExportDialog: "e",
    SettingsDialog: "o",
    QueriesDialog: "Q",
    AskTextDialog: "r",
    CompareDialog: "B",
    LoadModelDialog: "L",
    Palette: "ctrl+p",
}
"""Every screen that a key opens over the stream, and the key."""
MADE: dict[type[Screen[Any]], Callable[[Desk], Screen[Any]]] = {
    HelpDialog: lambda _: HelpDialog("grow", pane="stream"),
    RunsDialog: lambda desk: RunsDialog(desk.explorer),
    FanDialog: lambda desk: FanDialog(desk.explorer),
    OpenSessionDialog: lambda _: OpenSessionDialog(),
    SaveSessionDialog: lambda _: SaveSessionDialog(Path("a.json"), "no room"),
    UnsavedDialog: lambda _: UnsavedDialog("a"),
    ExportDialog: lambda _: ExportDialog([ExportOption("report", "words", Path("a.md"))]),
    SettingsDialog: lambda desk: SettingsDialog(desk.explorer.settings),
    QueriesDialog: lambda desk: QueriesDialog(desk.explorer.query_lists),
    AskTextDialog: lambda _: AskTextDialog("Layers", "all", ""),
    CompareDialog: lambda _: CompareDialog(SESSION, "now", OTHER),
    LoadModelDialog: lambda desk: LoadModelDialog(desk.explorer.models),
    ManualDialog: lambda _: ManualDialog(),
    Palette: lambda _: Palette(PaletteOffers(ACTIONS)),
    ConfirmDialog: lambda _: ConfirmDialog("Overwrite it?", OVERWRITE),
    RecoverDialog: lambda _: RecoverDialog([orphan()]),
    RowTextDialog: lambda _: RowTextDialog("a row", ["its fields"]),
    FigureView: lambda _: FigureView(Picture("", 1, 1)),
}
"""Every screen that can lie over another, made."""


def screens(kind: type[Screen[Any]] = Screen) -> Iterator[type[Screen[Any]]]:
    """All that the package defines."""
    for child in kind.__subclasses__():
        yield from screens(child)
        if child.__module__.startswith("icltui."):
            yield child


def test_no_screen_is_forgotten() -> None:
    for module in pkgutil.walk_packages(icltui.tui.__path__, "icltui.tui."):
        importlib.import_module(module.name)
    over_others = {*screens()} - {Dialog, ExplorerScreen, RowsScreen, SureRepaint}
    assert over_others == MADE.keys()
    assert OPENED.keys() <= MADE.keys()
    assert all(issubclass(screen, ClosesOnce) for screen in over_others)


TURNS = (0, 1, 2, 3, 5, 8)
"""Of the event loop; the first few are those in which a screen is composed and mounted."""
SIZES = pytest.mark.parametrize("size", thinned([(80, 24), (120, 40), (1, 1)], 3), ids=str)


@asynccontextmanager
async def work_unsaved(size: tuple[int, int]) -> AsyncIterator[Desk]:
    """One run, another one to compare it with, and nothing of it in a file."""
    async with open_desk(SESSION, size=size) as desk:
        await desk.settle()
        desk.explorer.compare_with(OTHER)
        desk.explorer.is_unsaved = True
        desk.screen.set_focus(desk.screen.numbers.stream)
        await desk.drawn()
        yield desk
        desk.explorer.is_unsaved = False


def state(desk: Desk) -> tuple[object, ...]:
    """What must not be lost, and where the user is."""
    explorer = desk.explorer
    kept = explorer.settings, explorer.results.measured, explorer.history.runs, explorer.is_unsaved
    return *kept, desk.screen.context.text, desk.app.focused


async def is_back(desk: Desk, before: tuple[object, ...], was_opened: Callable[[], object]) -> None:
    """The explorer alone, as it was."""
    async with asyncio.timeout(60):
        while not (was_opened() and desk.app.screen_stack == [desk.screen]):
            await asyncio.sleep(0)
        while any(isinstance(node, Dialog | Palette) for node in desk.app._registry):
            await asyncio.sleep(0)
    assert state(desk) == before


@SIZES
async def test_keys_that_open_and_close_come_at_once(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[type] = []
    push = App.push_screen

    def note(self: App[None], screen: Screen[Any], *args: Any, **options: Any) -> Any:
        opened.append(type(screen))
        return push(self, screen, *args, **options)

    monkeypatch.setattr(App, "push_screen", note)
    async with work_unsaved(size) as desk:
        before = state(desk)
        for kind, key in OPENED.items():
            desk.explorer.is_unsaved = kind is not OpenSessionDialog  # asked about first
            before = state(desk)
            for burst in ((key, "escape"), (key, key, "escape", "escape"), ("escape", key, "escape")):
                opened.clear()
                for each in burst:
                    desk.app.post_message(Key(each, None))
                try:
                    await is_back(desk, before, lambda kind=kind: kind in opened)
                except BaseException as error:
                    error.add_note(f"after {burst}: {opened}, {desk.app.screen_stack}")
                    raise


@SIZES
async def test_a_screen_closes_at_any_turn_of_its_opening(size: tuple[int, int]) -> None:
    async with work_unsaved(size) as desk:
        before = state(desk)
        for kind, make in MADE.items():
            for n_turns in TURNS:
                screen = make(desk)
                desk.app.push_screen(screen)
                for _ in range(n_turns):
                    await asyncio.sleep(0)
                screen.dismiss(None)
                screen.dismiss(None)
                screen.remove()  # as early as a busy program could come to it
                try:
                    await is_back(desk, before, lambda: True)
                except BaseException as error:
                    error.add_note(f"{kind} after {n_turns} turns: {desk.app.screen_stack}")
                    raise


@pytest.mark.parametrize("n_turns", TURNS)
async def test_the_program_ends_as_its_screens_open(n_turns: int) -> None:
    async with open_desk(SESSION) as desk:
        for make in MADE.values():
            desk.app.push_screen(make(desk))
        for _ in range(n_turns):
            await asyncio.sleep(0)
        desk.app.exit()


async def test_what_lies_over_a_dialog_closes_with_it() -> None:
    async with work_unsaved((80, 24)) as desk:
        before, below = state(desk), MADE[SaveSessionDialog](desk)
        await desk.app.push_screen(below)
        await desk.app.push_screen(MADE[ConfirmDialog](desk))
        below.dismiss(None)
        await is_back(desk, before, lambda: True)


async def test_no_answer_is_no_leave_to_discard_work() -> None:
    async with work_unsaved((80, 24)) as desk:
        before = state(desk)
        await desk.press("ctrl+l")
        await desk.until(lambda: isinstance(desk.app.screen, UnsavedDialog))
        desk.app.screen.dismiss(None)
        await is_back(desk, before, lambda: True)


@pytest.mark.parametrize("kind", [OpenSessionDialog, LoadModelDialog])
async def test_a_reply_to_a_screen_that_has_closed_meets_nobody(kind: type[Screen[Any]]) -> None:
    async with work_unsaved((80, 24)) as desk:
        before, screen, turns = state(desk), MADE[kind](desk), itertools.count()

        async def look() -> None:
            """Whenever it can be done, as a reply may come at any moment."""
            for _ in turns:
                await asyncio.sleep(0)
                screen.query_one(".error")

        desk.app.push_screen(screen)
        desk.screen.engine.draw_model_estimate()  # an answer of the engine, to a dialog that is not there yet
        await desk.until(lambda: screen.is_mounted)
        worker = screen.run_worker(look())
        await desk.until(lambda: next(turns) > 1)
        screen.dismiss(None)
        await is_back(desk, before, lambda: worker.is_cancelled and worker.is_finished)

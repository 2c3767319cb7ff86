"""Work that an earlier program left is offered at the start, newest first, and nothing of it goes unasked."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from textual.widgets import OptionList

from icltui.storage.paths import state_folder
from icltui.storage.sessions import read_session, write_session
from icltui.tui.dialogs.confirm import ConfirmDialog, UnsavedDialog
from icltui.tui.dialogs.recover import RecoverDialog, ago
from icltui.tui.main import keep_and_recover
from icltui.tui.system.autosave import orphans
from icltui.values import Session
from icltui.values.errors import SessionError
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.waiting import PATIENCE

KEY = "@gpu-box.17.20260101T000000.json"


@pytest.fixture
def left(steady_terminal: None) -> Path:  # noqa: ARG001 -- its folders must be there first
    """An older and a newer file, of a program that is gone."""
    folder = state_folder() / "autosave"
    write_session(folder / f"older{KEY}", samples.session(is_measured=False))
    os.utime(folder / f"older{KEY}", (1, 1))
    path = folder / f"newer.draft{KEY}"
    write_session(path, samples.session())
    return path


async def asked(desk: Desk) -> OptionList:
    await desk.until(lambda: isinstance(desk.app.screen, RecoverDialog) and desk.app.screen.query(OptionList))
    return desk.app.screen.query_one(OptionList)


async def test_nothing_is_asked_where_nothing_was_left(desk: Desk) -> None:
    assert desk.app.screen is desk.screen


async def test_the_newest_is_opened_with_enter_and_stays_unsaved_and_kept(left: Path) -> None:
    async with open_desk() as desk:
        choice = await asked(desk)
        assert choice.option_count == 2
        await desk.until(lambda: "newer  just now · on gpu-box · edited after its run" in desk.text())
        await desk.press("enter")
        await desk.until(lambda: desk.explorer.document.title == "capital-conflict")
        await desk.until(lambda: "capital-conflict*" in desk.text())
        assert desk.explorer.document.path is None
        assert desk.explorer.results.measurement == samples.MEASUREMENT
        await desk.until(lambda: not left.exists())
        (mine,) = (state_folder() / "autosave").glob(f"capital-conflict@*.{os.getpid()}.*.json")
        assert read_session(mine).measurement == samples.MEASUREMENT
        assert left.with_name(f"older{KEY}").exists()


@pytest.mark.usefixtures("left")
async def test_what_was_typed_before_the_question_came_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Event()
    monkeypatch.setattr(keep_and_recover, "orphans", lambda: [*(gate.wait(PATIENCE) and orphans())])
    async with open_desk() as desk:
        await desk.press("1", "i", "h", "i")
        gate.set()
        await asked(desk)
        await desk.press("enter")
        await desk.until(lambda: isinstance(desk.app.screen, UnsavedDialog))
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.screen)
        assert desk.explorer.settings.prompt.context == "hi"


@pytest.mark.usefixtures("left")
async def test_keeping_for_later_keeps() -> None:
    async with open_desk() as desk:
        await asked(desk)
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.screen)
    async with open_desk() as desk:
        assert (await asked(desk)).option_count == 2


async def test_deleting_is_asked_twice(left: Path) -> None:
    async with open_desk() as desk:
        choice = await asked(desk)
        await desk.press("d")
        await desk.until(lambda: isinstance(desk.app.screen, ConfirmDialog))
        await desk.press("c")
        await asked(desk)
        assert left.exists()
        await desk.press("d")
        await desk.until(lambda: isinstance(desk.app.screen, ConfirmDialog))
        await desk.press("d")
        await desk.until(lambda: choice.option_count == 1)
        assert not left.exists()
        await desk.press("d")
        await desk.until(lambda: isinstance(desk.app.screen, ConfirmDialog))
        await desk.press("d")
        await desk.until(lambda: desk.app.screen is desk.screen)
    assert list((state_folder() / "autosave").iterdir()) == []


async def test_what_cannot_be_read_is_said_and_stays(left: Path) -> None:
    left.write_text("{")
    async with open_desk() as desk:
        await asked(desk)
        await desk.press("enter")
        await desk.until(lambda: "is cut off" in str(desk.app.screen.query_one(".error").render()))
        assert left.exists()
        await desk.press("down", "enter")
        await desk.until(lambda: desk.explorer.settings.prompt == samples.PROMPT)


async def test_the_file_that_the_program_was_started_with_is_taken_at_once(left: Path) -> None:
    async with open_desk(read_session(left), left) as desk:
        await desk.until(lambda: desk.explorer.is_unsaved)
        assert desk.app.screen is desk.screen
        assert desk.explorer.document.path is None
        await desk.until(lambda: not left.exists())


async def test_work_that_cannot_be_kept_here_stays_there(left: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path, _session: Session) -> None:
        raise SessionError("no space left on device")

    monkeypatch.setattr("icltui.tui.system.autosave.write_session", refuse)
    async with open_desk() as desk:
        await asked(desk)
        await desk.press("enter")
        await desk.until(lambda: any("autosave failed" in line for line in desk.toasts()))
        await desk.drawn()
        assert left.exists()


@pytest.mark.parametrize("size", [(1, 1), (4, 60), (60, 18), (80, 24)])
@pytest.mark.usefixtures("left")
async def test_it_is_asked_at_any_size(size: tuple[int, int]) -> None:
    async with open_desk(size=size) as desk:
        await asked(desk)
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.screen)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "just now"), (59, "just now"), (60, "1 minute ago"), (7300, "2 hours ago"), (90_000, "1 day ago")],
)
def test_how_long_ago(seconds: int, words: str) -> None:
    now = datetime.now(UTC)
    assert ago(now - timedelta(seconds=seconds), now) == words

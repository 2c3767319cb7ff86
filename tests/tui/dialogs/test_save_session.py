"""Where a session cannot be saved: said in the dialog, the work stays, and other places are one key away."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from msgspec.structs import replace
from textual.widgets import Input, OptionList

from icltui.storage.paths import sessions_folder
from icltui.storage.sessions import read_session, write_session
from icltui.tui.dialogs.confirm import ConfirmDialog
from icltui.tui.dialogs.save_session import SaveSessionDialog
from icltui.tui.main import file_actions
from icltui.tui.system.fallback_paths import fallback_paths
from icltui.values import Session
from icltui.values.errors import SessionError
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.waiting import PATIENCE


@contextmanager
def full_disk(n_bytes: int = 1000) -> Iterator[None]:
    """Files that can have this many bytes at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_what_was_in_the_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "full" / "mine.json"
    write_session(path, samples.session())
    before = path.read_bytes()
    with (
        full_disk(),
        pytest.raises(SessionError, match=r"cannot save .*: file too large: choose another place"),
    ):
        write_session(path, samples.session(is_measured=True))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    write_session(path, samples.session())
    path.chmod(0o400)
    before = path.read_bytes()
    with pytest.raises(SessionError, match="it is read-only: choose another name"):
        write_session(path, samples.session(is_measured=False))
    assert path.read_bytes() == before


async def test_own_file_that_cannot_be_written_offers_other_places(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    write_session(path, samples.session())
    path.chmod(0o400)
    async with open_desk(read_session(path), path) as desk:
        await desk.settle()
        await desk.press("1", "i", "x", "ctrl+s")
        await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
        await desk.until(lambda: "it is read-only" in desk.text())
        assert "nothing is lost" in desk.text()
        first = desk.app.screen.query_one(OptionList).get_option_at_index(0)
        assert str(first.prompt).startswith(str(tmp_path / "mine-2.json"))
        await desk.press("enter")
        await desk.until(lambda: desk.app.screen is desk.screen)
        assert read_session(tmp_path / "mine-2.json").prompt.context == "x" + samples.CONTEXT
        assert desk.explorer.document.path == tmp_path / "mine-2.json"
    assert read_session(path).prompt.context == samples.CONTEXT


async def test_a_full_place_offers_others_in_the_same_dialog(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_in_full(path: Path, session: object) -> None:
        if path.parent.name == "full":
            raise SessionError(f"cannot save {path}: no space left on device: choose another place")
        write_session(path, session)  # type: ignore[arg-type]

    monkeypatch.setattr(file_actions, "write_session", refuse_in_full)
    await desk.press("1", "i", "x", "ctrl+s")
    await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
    assert not desk.app.screen.query_one(OptionList).display
    desk.app.screen.query_one(Input).value = str(tmp_path / "full" / "mine.json")
    await desk.press("enter")
    await desk.until(lambda: "no space left on device" in desk.text())
    assert desk.explorer.is_unsaved
    await desk.press("down", "enter")
    await desk.until(lambda: desk.app.screen is desk.screen)
    assert desk.explorer.document.path is not None
    assert desk.explorer.document.path.name == "mine.json"
    assert read_session(desk.explorer.document.path).prompt.context == "x" + samples.CONTEXT


async def test_leaving_waits_for_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, _session: object) -> None:
        raise SessionError(f"cannot save {path}: no space left on device: choose another place")

    monkeypatch.setattr(file_actions, "write_session", refuse)
    async with open_desk(samples.session(), tmp_path / "mine.json") as desk:
        await desk.settle()
        await desk.press("1", "i", "x", "ctrl+q", "s")
        await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
        await desk.press("escape")
        await desk.until(lambda: desk.app.screen is desk.screen)
        assert not desk.app._exit
        assert desk.explorer.is_unsaved


async def test_an_edit_during_the_writing_stays_unsaved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.json"
    async with open_desk(samples.session(), path) as desk:
        await desk.settle()

        def write_while_typing(path: Path, session: object) -> None:
            write_session(path, session)  # type: ignore[arg-type]
            desk.app.call_from_thread(desk.explorer.edit, "other", samples.PROMPT.query)

        monkeypatch.setattr(file_actions, "write_session", write_while_typing)
        await desk.press("ctrl+s")
        await desk.until(path.exists)
        await desk.until(lambda: any("saved " in line for line in desk.toasts()))
        assert desk.explorer.is_unsaved


async def test_what_another_program_wrote_meanwhile_is_not_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    write_session(path, samples.session())
    async with open_desk(samples.session(), path) as desk:
        await desk.settle()
        await desk.press("1", "i", "x", "ctrl+s")
        await desk.until(lambda: not desk.explorer.is_unsaved)
        write_session(path, samples.session(is_measured=False))
        await desk.press("y", "ctrl+s")
        await desk.until(
            lambda: isinstance(desk.app.screen, SaveSessionDialog) and desk.app.screen.is_running
        )
        await desk.until(lambda: "another program has written this file" in desk.text())
        assert read_session(path).prompt == samples.PROMPT
        desk.app.screen.query_one(Input).focus()
        await desk.press("enter")
        await desk.until(lambda: isinstance(desk.app.screen, ConfirmDialog))
        await desk.press("o")
        await desk.until(lambda: not desk.explorer.is_unsaved)
        assert read_session(path).prompt.context == "xy" + samples.CONTEXT
        await desk.until(lambda: desk.app.screen is desk.screen)
        await desk.press("z", "ctrl+s")
        await desk.until(lambda: not desk.explorer.is_unsaved)


async def test_the_newest_of_two_saves_is_what_lies_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, gate, n_begun = tmp_path / "mine.json", Event(), 0
    async with open_desk(samples.session(), path) as desk:
        await desk.settle()

        def write_the_first_slowly(path: Path, session: Session) -> None:
            nonlocal n_begun
            n_begun += 1
            if n_begun == 1:
                gate.wait(PATIENCE)
            write_session(path, session)

        monkeypatch.setattr(file_actions, "write_session", write_the_first_slowly)
        await desk.press("ctrl+s")
        await desk.until(lambda: n_begun == 1)
        await desk.press("1", "i", "x", "ctrl+s")
        await desk.pilot.pause(0.05)  # a second thread would have begun, and be done before the first
        gate.set()
        await desk.until(lambda: any("saved " in line for line in desk.toasts()))
        await desk.until(lambda: n_begun == 2)
    assert read_session(path).prompt.context == "x" + samples.CONTEXT


def test_places_are_free_names_in_other_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "mine.json").touch()
    paths = [place.path for place in fallback_paths(tmp_path / "full" / "mine.json")]
    home = tmp_path / "home"
    data = home / "icltui" / "sessions" / "mine.json"
    assert paths == [data, home / "mine.json", tmp_path / "mine.json", tmp_path / "tmp" / "mine-2.json"]
    assert tmp_path / "mine.json" not in [place.path for place in fallback_paths(tmp_path / "mine.json")]


def test_places_without_room_are_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icltui.tui.system.fallback_paths.LEAST", 2**80)
    assert fallback_paths(tmp_path / "mine.json") == []


@pytest.mark.parametrize("title", ["漢" * 300, "a/b/../c", "\ud800\x1b[31m", ""])
async def test_any_title_gives_a_name_to_save_under(title: str) -> None:
    async with open_desk(replace(samples.session(), title=title)) as desk:
        await desk.settle()
        await desk.press("ctrl+s")
        await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
        await desk.press("enter")
        await desk.until(lambda: desk.explorer.document.path)
        assert desk.explorer.document.path.parent == sessions_folder()


async def test_a_name_that_no_file_can_have_is_told(desk: Desk) -> None:
    await desk.press("ctrl+s")
    await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
    desk.app.screen.query_one(Input).value = "/tmp/\ud800"
    await desk.press("enter")
    await desk.until(lambda: "half a character" in desk.text())


async def test_a_name_alone_goes_where_the_list_of_sessions_looks(desk: Desk) -> None:
    await desk.press("ctrl+s")
    await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
    desk.app.screen.query_one(Input).value = "mine"
    await desk.press("enter")
    await desk.until(lambda: desk.explorer.document.path)
    assert desk.explorer.document.path == sessions_folder() / "mine.json"
    assert desk.explorer.document.path.exists()


async def test_the_name_is_typed_over_and_the_folder_stays(desk: Desk, tmp_path: Path) -> None:
    await desk.press("ctrl+s")
    await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
    name, folder = desk.app.screen.query(Input)
    assert name.selected_text == name.value == "capital-conflict"
    assert folder.value == str(sessions_folder())
    folder.value = str(tmp_path / "notes")
    await desk.press(*"page", "enter")
    await desk.until(lambda: desk.explorer.document.path)
    assert desk.explorer.document.path == tmp_path / "notes" / "page.json"


async def test_while_it_is_written_keys_go_to_the_screen_and_leaving_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, gate = tmp_path / "mine.json", Event()

    def write_slowly(path: Path, session: Session) -> None:
        gate.wait(PATIENCE)
        write_session(path, session)

    monkeypatch.setattr(file_actions, "write_session", write_slowly)
    async with open_desk(samples.session(), path) as desk:
        await desk.settle()
        await desk.press("1", "i", "x", "ctrl+s")
        await desk.until(lambda: "saving mine.json …" in desk.toasts())
        await desk.press("escape", "5")
        assert desk.screen.numbers.current == "plots"
        await desk.press("ctrl+q")
        await desk.drawn()
        assert not desk.app._exit
        gate.set()
        await desk.until(lambda: desk.app._exit)
    assert read_session(path).prompt.context == "x" + samples.CONTEXT


async def test_a_file_that_cannot_be_written_is_told_where_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Event()

    def fail(path: Path, _session: Session) -> None:
        gate.wait(PATIENCE)
        raise SessionError(f"cannot save {path}: no space left on device: choose another place")

    monkeypatch.setattr(file_actions, "write_session", fail)
    async with open_desk(samples.session(), tmp_path / "mine.json") as desk:
        await desk.settle()
        await desk.press("1", "i", "x", "ctrl+s")
        await desk.until(lambda: "saving mine.json …" in desk.toasts())
        await desk.press("ctrl+l")
        gate.set()
        await desk.until(lambda: any("nothing is lost" in line for line in desk.toasts()))
        assert desk.explorer.is_unsaved

"""Unsaved work is in a file after every run, for as long as it is unsaved, and found again when its program is gone."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from icltui.api.messages import EngineDied, LoadModel, VerificationEnded
from icltui.storage.atomic import remove_leftovers
from icltui.storage.paths import state_folder
from icltui.storage.sessions import read_session, write_session
from icltui.tui.dialogs.confirm import UnsavedDialog
from icltui.tui.dialogs.save_session import SaveSessionDialog
from icltui.tui.state.explorer import Explorer
from icltui.tui.system import autosave
from icltui.tui.system.autosave import Autosave, Orphan, orphans
from icltui.tui.system.save_on_exit import save_on_exit, shell_quoted
from icltui.values import LANES, Session
from icltui.values.errors import SessionError
from tests.tui import samples
from tests.tui.conftest import Desk, open_desk
from tests.tui.fake_client import FakeClient
from tests.waiting import PATIENCE


def kept() -> list[Path]:
    return sorted((state_folder() / "autosave").glob("*.json"))


async def run_delta(desk: Desk) -> None:
    """Unsaved results."""
    await desk.press("ctrl+t")
    desk.client.finish(*samples.generate(LANES))
    await desk.until(kept)


@pytest.fixture(autouse=True)
def no_edits_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs alone are kept, so that it is seen that they are."""
    monkeypatch.setattr("icltui.tui.main.keep_and_recover.KEEP_AFTER", 3600.0)


@pytest.fixture
def explorer() -> Explorer:
    one = Explorer(FakeClient(), LoadModel(), samples.session())
    one.is_unsaved = True
    return one


async def test_results_are_in_a_file_as_soon_as_they_are_whole(desk: Desk) -> None:
    assert kept() == [], "what came by itself when an example was opened is nobody's work"
    await run_delta(desk)
    (path,) = kept()
    assert path.name.startswith("capital-conflict@")
    assert f".{os.getpid()}." in path.name
    assert path.stat().st_mode & 0o77 == path.parent.stat().st_mode & 0o77 == 0
    assert read_session(path).generation == samples.generation(LANES)
    await desk.press("v")
    desk.client.finish(VerificationEnded(verification=samples.VERIFICATION))
    await desk.until(lambda: read_session(path).verification == samples.VERIFICATION)
    assert kept() == [path], "one file"


async def test_it_is_there_while_the_engine_is_not(desk: Desk) -> None:
    await run_delta(desk)
    desk.client.send(0, EngineDied(message="gone"))
    await desk.drawn()
    assert read_session(kept()[0]).generation == samples.generation(LANES)


async def test_saved_work_is_kept_no_more(desk: Desk) -> None:
    await run_delta(desk)
    await desk.press("ctrl+s")
    await desk.until(lambda: isinstance(desk.app.screen, SaveSessionDialog))
    await desk.press("enter")
    await desk.until(lambda: not desk.explorer.is_unsaved)
    await desk.until(lambda: not kept())
    await desk.press("ctrl+q")
    await desk.until(lambda: desk.app._exit)


@pytest.mark.parametrize(("keys", "n_kept"), [(("ctrl+q", "d"), 0), (("ctrl+q", "ctrl+q"), 1)])
async def test_only_who_discards_loses(keys: tuple[str, str], n_kept: int) -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await run_delta(desk)
        await desk.press(keys[0])
        await desk.until(lambda: isinstance(desk.app.screen, UnsavedDialog))
        await desk.press(keys[1])
        await desk.until(lambda: desk.app._exit)
    assert len(kept()) == n_kept
    assert list((state_folder() / "autosave").glob("*.lock")) == []


async def test_a_new_session_in_place_of_discarded_work(desk: Desk) -> None:
    await run_delta(desk)
    await desk.press("ctrl+n")
    await desk.until(lambda: isinstance(desk.app.screen, UnsavedDialog))
    await desk.press("d")
    await desk.until(lambda: not kept())


async def test_an_edit_after_the_run_costs_no_results() -> None:
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await run_delta(desk)
        await desk.press("1", "i", "x")
        await desk.until(lambda: desk.explorer.settings.prompt.context.startswith("x"))
        desk.app._leave_on_signal(15)
        await desk.until(lambda: desk.app._exit)
    draft, whole = kept()
    assert ".draft@" in draft.name
    assert read_session(draft).prompt.context == "x" + samples.CONTEXT
    assert read_session(whole).generation == samples.generation(LANES)
    assert str(draft) in (desk.app.unsaved_work.farewell or "")


async def test_edits_are_kept_without_a_run_and_join_its_file_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icltui.tui.main.keep_and_recover.KEEP_AFTER", 0.01)
    async with open_desk(samples.session()) as desk:
        await desk.settle()
        await desk.press("1", "i", "x")
        await desk.until(
            lambda: [read_session(path).prompt.context for path in kept()] == ["x" + samples.CONTEXT]
        )
        assert ".draft@" in kept()[0].name
        await desk.press("ctrl+r")
        await desk.settle()
        await desk.until(lambda: [".draft@" in path.name for path in kept()] == [False])


async def test_a_place_that_cannot_be_written_is_said_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, _session: object) -> None:
        raise SessionError(f"cannot save {path.name[:7]}: no space left on device")

    monkeypatch.setattr(autosave, "write_session", refuse)
    await desk.press("ctrl+t")
    desk.client.finish(*samples.generate(LANES))
    line = "autosave failed, the work is in memory only: cannot save capital: no space left on device"
    await desk.until(lambda: desk.toasts() == [line])
    await desk.press("v")
    desk.client.finish(VerificationEnded(verification=samples.VERIFICATION))
    await desk.until(lambda: desk.explorer.results.verification)
    await desk.drawn()
    assert desk.toasts() == [line]
    assert desk.explorer.is_unsaved


async def test_the_screen_does_not_wait_for_the_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end, begun = threading.Event(), threading.Event()

    def write_slowly(path: Path, session: Session) -> None:
        begun.set()
        assert may_end.wait(PATIENCE)
        write_session(path, session)

    monkeypatch.setattr(autosave, "write_session", write_slowly)
    await desk.press("ctrl+t")
    desk.client.finish(*samples.generate(LANES))
    await desk.until(begun.is_set)
    await desk.press("6")
    await desk.until(lambda: desk.screen.focused is desk.screen.numbers.heatmap)
    assert kept() == []
    may_end.set()
    await desk.until(kept)


def test_what_waits_is_written_once_and_what_is_forgotten_not_at_all(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()

    def write_slowly(path: Path, session: Session) -> None:
        assert may_end.wait(PATIENCE)
        write_session(path, session)

    monkeypatch.setattr(autosave, "write_session", write_slowly)
    one = Autosave(explorer, pytest.fail)
    futures = [one.keep() for _ in range(20)]
    may_end.set()
    assert futures[-1].result() is not None
    assert sum(future.result() is not None for future in futures) <= 2, (
        "the one that was begun, and the newest"
    )
    one.forget()
    one.close()
    assert kept() == []


def test_own_files_are_not_offered_to_others(explorer: Explorer) -> None:
    one = Autosave(explorer, pytest.fail)
    one._key = one._key.replace(f".{os.getpid()}.", ".999999999.")  # of no process: the lock alone says it
    path = one.keep().result()
    assert path in kept()
    assert orphans() == []
    one.close()
    (orphan,) = orphans()
    assert (orphan.path, orphan.title, orphan.is_draft) == (path, "capital-conflict", False)
    assert orphan.host == autosave._host()
    orphan.delete()
    assert list((state_folder() / "autosave").iterdir()) == []


def test_a_killed_program_s_work_is_found_even_if_its_number_is_taken() -> None:
    code = (
        "import os, sys; from tests.tui import samples; from tests.tui.fake_client import FakeClient\n"
        "from icltui.tui.state.explorer import Explorer; from icltui.tui.system.autosave import Autosave, orphans\n"
        "from icltui.api.messages import LoadModel\n"
        "one = Explorer(FakeClient(), LoadModel(), samples.session()); one.is_unsaved = True\n"
        "print(Autosave(one, print).keep().result(), flush=True); sys.stdin.read()"
    )
    root = str(Path(__file__).parents[3])
    program = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
        env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert program.stdout is not None
    path = Path(program.stdout.readline().strip())
    assert orphans() == [], "it runs"
    program.kill()
    program.wait()
    assert [orphan.path for orphan in orphans()] == [path]
    # Its lock stays behind, and says by itself that nobody holds it: no process number is asked.
    assert len(list(path.parent.glob("*.lock"))) == 1
    ours = path.with_name(path.name.replace(f".{program.pid}.", f".{os.getpid()}."))
    path.rename(ours)
    (lock,) = path.parent.glob("*.lock")
    lock.rename(lock.with_name(lock.name.replace(f".{program.pid}.", f".{os.getpid()}.")))
    assert [orphan.path for orphan in orphans()] == [ours]


def test_where_there_are_no_locks_the_process_is_asked(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(autosave.fcntl, "flock", refuse)
    one = Autosave(explorer, pytest.fail)
    path = one.keep().result()
    assert path is not None
    assert orphans() == [], "this process is there"
    gone = subprocess.Popen(["true"])
    gone.wait()
    key = autosave._key_of(path)
    other = key.replace(f".{os.getpid()}.", f".{gone.pid}.")
    path.rename(path.with_name(f"a@{other}.json"))
    (path.parent / f"@{key}.lock").rename(path.parent / f"@{other}.lock")
    assert [orphan.title for orphan in orphans()] == ["a"]
    elsewhere = other.replace(autosave._host(), "another.machine")
    path.with_name(f"a@{other}.json").rename(path.with_name(f"a@{elsewhere}.json"))
    (path.parent / f"@{other}.lock").rename(path.parent / f"@{elsewhere}.lock")
    assert orphans() == [], "on another machine nobody knows: it is left alone"


def test_a_lock_without_work_is_swept_when_its_program_is_gone(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = Autosave(explorer, pytest.fail), Autosave(explorer, pytest.fail)
    monkeypatch.setattr(other, "_key", "here.1.20260101T000000000000")
    kept_by_other = other.keep().result()
    assert mine.keep().result() is not None
    assert kept_by_other is not None
    mine.forget()  # the program runs on, and its lock is held
    folder = state_folder() / "autosave"
    names = ["@gone.1.2.lock", "@young.1.2.lock", "@with.1.2.lock"]
    for name in names:
        (folder / name).touch()
    write_session(folder / "work@with.1.2.json", samples.session())
    left = folder / ".icltui-0123456789ab"  # half a file
    left.touch()
    for old in (left, *folder.glob("*.lock")):
        os.utime(old, (1, 1) if "young" not in old.name else None)
    remove_leftovers.cache_clear()  # as in a program that starts
    orphans()
    assert not (folder / names[0]).exists()
    assert not left.exists()
    assert all((folder / name).exists() for name in names[1:])
    assert {f"@{one._key}.lock" for one in (mine, other)} <= set(os.listdir(folder))
    for one in (mine, other):
        one.close()


def test_files_of_other_machines_and_older_programs_are_told_apart() -> None:
    folder = state_folder() / "autosave"
    write_session(folder / "old-20260101-000000.json", samples.session())
    write_session(folder / "far.draft@gpu.box.17.20260101T000000.json", samples.session())
    os.utime(folder / "old-20260101-000000.json", (1, 1))
    far, old = orphans()
    assert (far.title, far.host, far.is_draft) == ("far", "gpu.box", True)
    assert (old.title, old.host) == ("old-20260101-000000", "")


def test_no_folder_means_no_orphans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert orphans() == []


def test_what_cannot_be_kept_in_its_place_is_kept_elsewhere(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    line = save_on_exit(explorer, Autosave(explorer, lambda _line: None))
    (path,) = tmp_path.glob("icltui-*/unsaved.json")
    assert line == f"unsaved work was kept, open it with:  icltui {path}"
    assert path.parent.stat().st_mode & 0o77 == 0
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    line = save_on_exit(explorer, Autosave(explorer, lambda _line: None))
    assert line.startswith("icltui: unsaved work is lost: cannot make the folder")


def test_saved_work_is_not_kept_and_its_file_is_named(explorer: Explorer, tmp_path: Path) -> None:
    explorer.is_unsaved = False
    one = Autosave(explorer, pytest.fail)
    assert save_on_exit(explorer, one) == ""
    explorer.open(samples.session(), tmp_path / "my own.json")
    assert save_on_exit(explorer, one) == f"open it again with:  icltui '{tmp_path}/my own.json'"
    assert kept() == []


NAMES = ["a.json", "two words.json", "-x.json", "it's.json", "measure", "\x1b[31m\n.json", "\udcff.json"]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_comes_through_the_shell_as_it_is(name: str, tmp_path: Path) -> None:
    for path in (Path(name), tmp_path / name):
        word = shell_quoted(path)
        assert word.isprintable()
        shown = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
        assert os.path.normpath(os.fsdecode(shown)) == str(path)
        assert not os.fsdecode(shown).startswith("-")
        assert os.fsdecode(shown) != "measure"


def test_an_orphan_that_is_gone_is_deleted_in_peace(tmp_path: Path) -> None:
    Orphan(
        path=tmp_path / "a@b.1.2.json", title="a", host="b", moment=datetime.now(UTC), is_draft=False
    ).delete()

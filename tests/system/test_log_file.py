"""A log stays within bounds, and whoever writes to it is never stopped by it."""

import os
import stat
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icltui.system import log_file
from icltui.system.log_file import LOG_LIMIT, LogFile
from icltui.tui.system.crash_log import write_crash_log


def a_file_in_the_way(folder: Path) -> Path:
    (folder / "state").write_text("")
    return folder / "state"


def a_folder_in_the_way(folder: Path) -> Path:
    for name in ("engine.log", "crash.log"):
        (folder / "state" / name).mkdir(parents=True)
    return folder / "state"


def a_full_disk(folder: Path) -> Path:
    for name in ("engine.log", "crash.log"):
        (folder / name).symlink_to("/dev/full")
    return folder


def a_pipe_that_nobody_reads(folder: Path) -> Path:
    for name in ("engine.log", "crash.log"):
        os.mkfifo(folder / name)
    return folder


def a_system_folder(_: Path) -> Path:
    return Path("/proc/self/state")


def no_home(_: Path) -> Path:
    return Path("~/.local/state/icltui")


def a_link_that_leads_in_a_circle(folder: Path) -> Path:
    (folder / "state").symlink_to(folder / "state")
    return folder / "state"


def a_name_that_is_too_long(folder: Path) -> Path:
    return folder / ("x" * 300)


WRONG: tuple[Callable[[Path], Path], ...] = (
    *(
        a_file_in_the_way,
        a_folder_in_the_way,
        a_full_disk,
        a_pipe_that_nobody_reads,
        a_system_folder,
        no_home,
    ),
    *(a_link_that_leads_in_a_circle, a_name_that_is_too_long),
)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("wrong", WRONG)
def test_where_it_cannot_be_it_goes_elsewhere_and_says_so_in_one_line(
    tmp_path: Path, temporary: Path, wrong: Callable[[Path], Path]
) -> None:
    wanted = wrong(tmp_path) / "engine.log"
    log = LogFile(wanted)
    log.write(b"words")
    assert log.path == temporary / f"icltui-{os.getuid()}" / "engine.log"
    assert log.path.read_bytes() == b"words"
    assert log.trouble.endswith(f"; the log is {log.path}")
    assert str(wanted) in log.trouble
    assert len(log.trouble.splitlines()) == 1
    assert os.listdir(temporary) == [log.path.parent.name]


@pytest.mark.parametrize("wrong", WRONG)
def test_where_nothing_can_be_written_nothing_is_and_nobody_is_stopped(
    tmp_path: Path, temporary: Path, wrong: Callable[[Path], Path]
) -> None:
    temporary.rmdir()
    log = LogFile(wrong(tmp_path) / "engine.log")
    log.write(b"words")
    assert log.path is None
    assert log.trouble.endswith("; there is no log")


@pytest.mark.parametrize(
    "there", [lambda f: f.symlink_to("/"), lambda f: f.mkdir(0o755), lambda f: f.touch()]
)
def test_what_others_put_into_the_temporary_folder_is_not_used(
    tmp_path: Path, temporary: Path, there: Callable[[Path], None]
) -> None:
    there(temporary / f"icltui-{os.getuid()}")
    assert LogFile(a_file_in_the_way(tmp_path) / "engine.log").path is None


def test_a_disk_that_fills_up_meanwhile_is_told_once(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LogFile(tmp_path / "engine.log")
    log.write(b"before")
    assert log.trouble == ""
    append = log_file._append

    def full(path: Path, data: bytes) -> None:
        if temporary not in path.parents:
            raise OSError(28, "No space left on device")
        append(path, data)

    monkeypatch.setattr(log_file, "_append", full)
    log.write(b"after")
    assert "no space left on device; the log is " in log.trouble
    assert (tmp_path / "engine.log").read_bytes() == b"before"


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 300)), max_size=30))
def test_it_stays_within_bounds_whoever_writes_and_keeps_the_end(writes: list[tuple[bool, int]]) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(log_file, "LOG_LIMIT", 256)
        path = Path(folder, "engine.log")
        both, whole = (LogFile(path), LogFile(path)), b""
        for at, (is_second, length) in enumerate(writes):
            data = (f"{at};" * length)[:length].encode()
            both[is_second].write(data)
            whole += data
            sizes = [file.stat().st_size for file in Path(folder).iterdir()]
            assert len(sizes) <= 2
            assert max(sizes) <= 256
        assert whole.endswith(path.read_bytes())
        assert path.read_bytes()[-1:] == whole[-1:]


def test_several_programs_that_find_it_full_at_once_all_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "LOG_LIMIT", 64)
    logs = [LogFile(tmp_path / "engine.log") for _ in range(4)]

    def write(log: LogFile) -> None:
        for _ in range(300):
            log.write(b"x" * 40)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, logs))
    assert [log.trouble for log in logs] == [""] * 4


def test_one_that_an_older_program_let_grow_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    path.write_bytes(b"x" * (LOG_LIMIT + 1))
    LogFile(path).write(b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["engine.log"]


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    LogFile(tmp_path / "state" / "engine.log")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / "engine.log").stat().st_mode) == 0o600


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize("error", [ValueError("a\x1b[2J\nb"), Unspeakable(), ValueError("\ud800" * 9999)])
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("has_temporary", [True, False])
def test_a_crash_is_always_one_line(
    tmp_path: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: Callable[[Path], Path],
    error: Exception,
    has_temporary: bool,
) -> None:
    folder = wrong(tmp_path)
    monkeypatch.setattr("icltui.tui.system.crash_log.state_path", lambda: folder)
    if not has_temporary:
        temporary.rmdir()
    line = write_crash_log(error)
    assert line.startswith(f"icltui stopped because of an internal error ({type(error).__name__}: ")
    assert line.isprintable()
    log = temporary / f"icltui-{os.getuid()}" / "crash.log"
    assert line.endswith(f"details: {log}" if has_temporary else "there is no log")
    assert not has_temporary or type(error).__name__ in log.read_text()

"""A file is whole or as it was, and to others what it was before."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from icltui.storage import atomic
from icltui.storage.atomic import (
    leftover_prefix,
    path_is_taken,
    remove_leftovers,
    write_atomically,
    write_file,
)
from icltui.values.errors import BadInput

LONG = b"long " * 10_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def facts(path: Path) -> tuple[int, int, int, int]:
    now = path.stat()
    return stat.S_IMODE(now.st_mode), now.st_uid, now.st_gid, now.st_nlink


def is_new_file(path: Path, before: os.stat_result) -> bool:
    return path.stat().st_ino != before.st_ino


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_a_new_file_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "new", b"new")
    finally:
        os.umask(before)
    assert facts(tmp_path / "new")[0] == 0o600 & ~umask
    assert os.listdir(tmp_path) == ["new"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o644, 0o666, 0o755, 0o2664])
@pytest.mark.parametrize("data", [b"", b"new", LONG])
def test_mode_and_group_stay_in_one_step(path: Path, mode: int, data: bytes) -> None:
    groups = [group for group in os.getgroups() if group != path.stat().st_gid]
    os.chown(path, -1, 100 if os.getuid() == 0 else (groups or [-1])[0])
    path.chmod(mode)
    before, was = facts(path), path.stat()
    write_atomically(path, data)
    assert path.read_bytes() == data
    assert facts(path) == before
    assert is_new_file(path, was)


def test_an_access_list_and_the_users_own_attributes_stay(path: Path) -> None:
    try:
        os.setxattr(path, "user.note", b"mine")
    except OSError:
        pytest.skip("this file system has no attributes")
    write_atomically(path, b"new")
    assert os.getxattr(path, "user.note") == b"mine"


@pytest.mark.parametrize("data", [b"", b"n", LONG])
def test_another_name_of_the_file_has_the_new_text_too(path: Path, tmp_path: Path, data: bytes) -> None:
    os.link(path, tmp_path / "other name")
    path.chmod(0o664)
    before = facts(path)
    write_atomically(path, data)
    assert (tmp_path / "other name").read_bytes() == data
    assert facts(path) == before
    assert sorted(os.listdir(tmp_path)) == ["file", "other name"]


def test_an_owner_or_group_that_may_not_be_given_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    was = path.stat()
    monkeypatch.setattr(os, "fchown", refuse)
    write_atomically(path, LONG)
    assert path.read_bytes() == LONG
    assert not is_new_file(path, was)


@pytest.mark.parametrize("has_other_name", [False, True])
@pytest.mark.parametrize("failing", ["write", "fsync", "ftruncate", "replace", "before"])
def test_whatever_fails_what_was_there_is_there(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_other_name: bool, failing: str
) -> None:
    if has_other_name:
        os.link(path, tmp_path.with_name(f"{tmp_path.name}-link"))
    true, n_calls = getattr(os, failing, None), [0]

    def fail_once(*arguments: object) -> object:
        n_calls[0] += 1
        if n_calls[0] == 1:
            raise OSError(28, "No space left on device")
        assert true is not None
        return true(*arguments)

    if failing != "before":
        monkeypatch.setattr(os, failing, fail_once)
    afterwards = fail_once if failing == "before" else lambda: None
    in_place, in_one_step = {"write", "ftruncate"}, {"replace"}
    if failing in (in_one_step if has_other_name else in_place):
        write_atomically(path, LONG, before=afterwards)
        assert n_calls == [0]
    else:
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, LONG, before=afterwards)
        assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(path.name)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), os.mkfifo, lambda p: p.symlink_to("/dev/null")])
def test_what_is_no_file_is_left_alone(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "thing")
    with pytest.raises(OSError, match="not a file"):
        write_atomically(tmp_path / "thing", b"x")
    assert os.listdir(tmp_path) == ["thing"]


def test_the_file_lasts_before_its_name_does(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("name"), replace(*names)))
    write_atomically(path, b"new")
    assert done == ["file", "name", "folder"]


def gone_pid() -> int:
    gone = subprocess.Popen(["true"])
    gone.wait()
    return gone.pid


@pytest.mark.parametrize(
    ("name", "days", "is_swept"),
    [
        (".icltui-{gone}-0123456789ab", 2, True),
        (".icltui-{gone}-0123456789ab", 0, False),
        (".icltui-{gone}-ab_cdefg", 2, True),
        (".icltui-0123456789ab", 2, True),
        (".icltui-0123456789ab", 0, False),
        (".icltui-99999999999999999999-0123456789ab", 2, True),
        (".icltui-{mine}-0123456789ab", 9, False),
        (".icltui-1-0123456789ab", 9, False),
        (".icltui-settings", 9, False),
        (".icltui-notes of mine", 9, False),
        (".icltui-{gone}-0123456789ab.json", 9, False),
        ("icltui-{gone}-0123456789ab", 9, False),
    ],
)
@pytest.mark.parametrize("is_folder", [False, True])
def test_only_what_dead_processes_left_long_ago_is_swept(
    tmp_path: Path, name: str, days: int, is_swept: bool, is_folder: bool
) -> None:
    left = tmp_path / name.format(gone=gone_pid(), mine=os.getpid())
    if is_folder:
        left.mkdir()
        (left / "adapter_model.safetensors").touch()
    else:
        left.touch()
    then = left.stat().st_mtime - days * 86_400 - 10
    os.utime(left, (then, then))
    write_atomically(tmp_path / "file", b"new")
    assert left.exists() is not is_swept


def test_a_link_among_the_leftovers_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    left = tmp_path / f".icltui-{gone_pid()}-0123456789ab"
    left.symlink_to("mine")
    os.utime(left, (0, 0), follow_symlinks=False)
    remove_leftovers(tmp_path)
    assert not left.is_symlink()
    assert (tmp_path / "mine" / "file").exists()


def test_what_this_process_writes_is_never_swept() -> None:
    assert atomic._LEFTOVER.fullmatch(leftover_prefix() + "0123456789ab")


def test_a_write_that_takes_a_few_bytes_at_a_time_loses_none(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with another name is written in its place, and the system may take less than it is handed."""
    os.link(path, tmp_path / "other name")
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:3]))
    write_atomically(path, b"0123456789")
    assert path.read_bytes() == b"0123456789"


def test_only_the_attributes_that_are_somebodys_choice_are_copied(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {
        "user.note": b"mine",
        "system.posix_acl_access": b"list",
        "security.selinux": b"label",
        "trusted.x": b"",
    }
    given: dict[str, bytes] = {}
    monkeypatch.setattr(os, "listxattr", lambda _path: [*held], raising=False)
    monkeypatch.setattr(os, "getxattr", lambda _path, name: held[name], raising=False)
    monkeypatch.setattr(
        os, "setxattr", lambda _handle, name, value: given.update({name: value}), raising=False
    )
    write_atomically(path, b"new")
    assert given == {name: held[name] for name in ("user.note", "system.posix_acl_access")}


@pytest.mark.parametrize(("hours", "is_swept"), [(23, False), (25, True)])
def test_what_was_left_is_kept_for_a_day(tmp_path: Path, hours: int, is_swept: bool) -> None:
    left = tmp_path / f".icltui-{gone_pid()}-0123456789ab"
    left.touch()
    then = left.stat().st_mtime - hours * 3600
    os.utime(left, (then, then))
    remove_leftovers(tmp_path)
    assert left.exists() is not is_swept


def test_another_users_process_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    assert atomic.is_running(1) is True


def test_a_new_file_in_a_new_folder(tmp_path):
    target = tmp_path / "deep" / "x.csv"
    write_file(target, b"a")
    assert target.read_bytes() == b"a"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(target.parent) == ["x.csv"]


def test_what_is_there_stays_unless_it_may_go(tmp_path):
    target = tmp_path / "x"
    target.write_bytes(b"old")
    with pytest.raises(BadInput, match="exists already: choose another name"):
        write_file(target, b"new")
    assert target.read_bytes() == b"old"
    write_file(target, b"new", may_replace=True)
    assert (target.read_bytes(), os.listdir(tmp_path)) == (b"new", ["x"])


def test_a_link_that_leads_nowhere_is_something(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    assert path_is_taken(link)
    with pytest.raises(BadInput, match="exists already"):
        write_file(link, b"x")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "x"
    target.write_bytes(b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInput, match=r"cannot write .*: no space left on device: choose another place"):
        write_file(target, b"new", may_replace=True)
    assert (target.read_bytes(), os.listdir(tmp_path)) == (b"old", ["x"])


@pytest.mark.parametrize("name", ["", "a\0b", "file/x"])
def test_a_place_that_cannot_be(tmp_path, name):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match=r"^(cannot write|.* exists already)") as caught:
        write_file(tmp_path / name, b"x", may_replace=name != "")
    assert "\n" not in str(caught.value)

"""A file is there whole, or not at all; what is there already stays unless it may go."""

import os
import stat

import pytest

from icltui.storage.atomic import path_is_taken, write_file
from icltui.values.errors import BadInput


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

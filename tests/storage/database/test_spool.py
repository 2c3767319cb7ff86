"""Documents stay in the file until they are let go of, whoever else uses it and whatever happens."""

import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from icltui.storage.database.spool import Spool
from icltui.values.errors import BadInput


def documents(spool: Spool) -> list[bytes]:
    """All that are offered, the oldest first."""
    return [document for _, document in spool.oldest()]


def test_documents_leave_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "state" / "a.sqlite")
    assert (len(spool), spool.oldest()) == (0, [])
    assert not spool.path.exists(), "nothing is made for nothing"
    spool.keep([b"one", b"two"])
    spool.keep([b"three"])
    assert documents(Spool(spool.path)) == [b"one", b"two", b"three"]
    spool.remove([spool.oldest()[0][0]])
    assert documents(spool) == [b"two", b"three"]


def test_a_document_set_aside_is_kept_for_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "a.sqlite")
    spool.keep([b"bad", b"good"])
    spool.set_aside(1)
    assert documents(spool) == [b"good"]
    assert len(spool) == 1
    monkeypatch.setattr("icltui.storage.database.spool.__version__", "99")
    assert documents(spool) == [b"bad", b"good"]
    assert len(spool) == 2


def test_a_number_is_never_given_twice(tmp_path: Path) -> None:
    """Else the document of another program would go with one that was sent."""
    spool = Spool(tmp_path / "a.sqlite")
    spool.keep([b"one"])
    spool.remove([1])
    spool.keep([b"two"])
    spool.remove([1])
    assert documents(spool) == [b"two"]


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        spool = Spool(tmp_path / "state" / "a.sqlite")
        spool.keep([b"one"])
    finally:
        os.umask(mask)
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.path.parent.stat().st_mode) == 0o700


def test_the_file_shrinks(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.sqlite")
    spool.keep([bytes(10**6)])
    assert spool.path.stat().st_size > 10**6
    spool.remove([1])
    assert spool.path.stat().st_size < 10**5


def test_documents_are_offered_in_bearable_numbers(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.sqlite")
    spool.keep([b"small"] * 150 + [bytes(3 * 2**20)] * 2)
    assert len(spool.oldest()) == 100
    spool.remove([*range(1, 151)])
    assert len(spool.oldest()) == 1, "two of them would be too much at once"


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: Spool(path).keep([b"%d" % n]), range(12)))
    assert sorted(map(int, documents(Spool(path)))) == [*range(12)]


def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.sqlite").write_text("not a database, and longer than a header would be" * 20)
    with pytest.raises(BadInput, match=r"text\.sqlite cannot be written: file is not a database$"):
        Spool(tmp_path / "text.sqlite").keep([b"one"])
    with pytest.raises(BadInput, match=r"cannot be written: file exists$"):
        Spool(tmp_path / "text.sqlite" / "a.sqlite").keep([b"one"])
    spool = Spool(tmp_path / "small.sqlite")
    spool.keep([b"one"])
    monkeypatch.setattr("icltui.storage.database.spool._MOST_BYTES", 2**14)
    with pytest.raises(BadInput, match=r"small\.sqlite cannot be written: database or disk is full$"):
        spool.keep([b"two", bytes(10**6)])
    assert documents(spool) == [b"one"], "all of them, or none"


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    """What is in a transaction that never ended is not there."""
    spool = Spool(tmp_path / "a.sqlite")
    spool.keep([b"one"])
    other = sqlite3.connect(spool.path)
    other.execute("INSERT INTO waiting (document) VALUES (x'00')")
    other.close()
    assert documents(spool) == [b"one"]

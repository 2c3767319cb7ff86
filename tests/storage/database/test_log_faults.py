"""The queue against real databases that fail: locked, full, restarted, of another password, no database at all."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from icltui.storage.database import address, log_queue
from icltui.storage.database.destination import destination, spool_folder, spool_of
from icltui.storage.database.log_queue import LogQueue
from icltui.values.errors import BadInput
from tests.postgres import PASSWORD, PostgresServer
from tests.storage.database.test_log_queue import entry, until
from tests.waiting import PATIENCE

pytest.importorskip("sqlalchemy")
N_ROWS = len(entry().rows)


class Sender:
    """A queue to a URL, and what it told of trouble."""

    def __init__(self, url: str) -> None:
        self.troubles: list[str] = []
        self.spool = spool_of(url)
        self.queue = LogQueue(url, self.spool, self._told)
        self.queue.start()

    def _told(self, line: str, news: str) -> None:
        if news != "written":
            self.troubles.append(line)

    def put(self, *numbers: int) -> None:
        """Send these, and wait until they are safe."""
        kept = self.queue.put(lambda: [entry(n) for n in numbers])
        assert kept is not None
        kept.result(PATIENCE)


@pytest.fixture
def send_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Sender]]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(log_queue, "SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr(log_queue, "LONGEST_PAUSE", 0.04)
    senders: list[Sender] = []

    def begin(url: str) -> Sender:
        senders.append(Sender(url))
        return senders[-1]

    yield begin
    for one in senders:
        one.queue.close(0)


def n_rows(path: Path) -> int:
    file = sqlite3.connect(path)
    try:
        return int(file.execute("SELECT count(*) FROM icl_dynamics_log").fetchone()[0])
    finally:
        file.close()


def test_a_locked_database_is_tried_again(send_to, tmp_path):
    path = tmp_path / "log.sqlite"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    one = send_to(f"sqlite:///{path}?timeout=0.01")
    one.put(1)
    until(lambda: one.troubles)
    assert "database is locked: another program holds it" in one.troubles[0]
    assert len(one.spool) == 1
    other.execute("ROLLBACK")
    other.close()
    until(lambda: one.queue.n_rows == N_ROWS)
    assert one.queue.close(PATIENCE) == ""
    assert len(one.troubles) == 2
    assert n_rows(path) == N_ROWS


def test_a_full_disk_loses_nothing(send_to, tmp_path, monkeypatch):
    """SQLite's own limit of a file's pages is a full disk to whoever writes."""
    limit, begin = "PRAGMA max_page_count = 14", address._AT_BEGIN["sqlite"]
    monkeypatch.setitem(address._AT_BEGIN, "sqlite", (limit, *begin))
    path = tmp_path / "log.sqlite"
    one = send_to(f"sqlite:///{path}")
    one.put(1)
    until(lambda: one.troubles)
    assert "database or disk is full: make room; measurements wait in " in one.troubles[0]
    assert (n_rows(path), len(one.spool)) == (0, 1), "all of a measurement, or nothing"
    monkeypatch.setitem(address._AT_BEGIN, "sqlite", begin)
    until(lambda: one.queue.n_rows == N_ROWS)
    assert one.queue.close(PATIENCE) == ""
    assert n_rows(path) == N_ROWS


def test_a_file_of_something_else_is_told_and_left_alone(send_to, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text(
        "my notes, long enough to be no SQLite file by any reading of its first hundred bytes" * 9
    )
    before = path.read_bytes()
    one = send_to(f"sqlite:///{path}")
    one.put(1)
    until(lambda: one.troubles)
    assert "file is not a database: name another file" in one.troubles[0]
    assert "1 measurement is kept in" in one.queue.close(0.5)
    assert path.read_bytes() == before


def test_a_spool_is_no_log(send_to, tmp_path):
    one = send_to(f"sqlite:///{tmp_path}/log.sqlite")
    for path in (one.spool.path, spool_folder() / "new.sqlite", spool_folder() / ".." / "log" / "a.sqlite"):
        with pytest.raises(BadInput, match="is where rows wait for their database: name a file elsewhere"):
            spool_of(f"sqlite:///{path}")


def test_a_server_that_restarts_gets_every_row_once(send_to, postgres: PostgresServer):
    url = postgres.new_url()
    count = "SELECT count(*), count(DISTINCT (session_id, layer_idx, token_idx)) FROM icl_dynamics_log"
    one = send_to(url)
    one.put(1)
    until(lambda: one.queue.n_rows == N_ROWS)
    postgres.stop()
    try:
        one.put(2)
        one.put(3)
        until(lambda: one.troubles)
        assert len(one.spool) == 2
    finally:
        postgres.start()
    until(lambda: one.queue.n_rows == 3 * N_ROWS)
    assert one.queue.close(PATIENCE) == ""
    assert len(one.troubles) == 2
    assert postgres.run(count, url) == [(3 * N_ROWS, 3 * N_ROWS)]


def test_a_wrong_password_is_told_and_never_shown(send_to, postgres: PostgresServer):
    wrong = quote("wr0ng/" + PASSWORD, safe="")
    one = send_to(postgres.url(user=f"reader:{wrong}"))
    one.put(1)
    until(lambda: one.troubles)
    assert "password authentication failed" in one.troubles[0]
    said = " ".join([*one.troubles, one.queue.close(0.5), one.queue.where, str(one.spool.path)])
    held = one.spool.path.read_bytes().decode("latin-1")
    for secret in ("wr0ng", PASSWORD, wrong):
        assert secret not in said + held


def test_a_user_who_may_not_write_is_told(send_to, postgres: PostgresServer):
    url = postgres.new_url()
    one = send_to(url.replace("postgres@", f"reader:{quote(PASSWORD, safe='')}@"))
    one.put(1)
    until(lambda: one.troubles)
    assert "permission denied" in one.troubles[0] or "no schema has been selected" in one.troubles[0]
    assert len(one.spool) == 1


def test_one_database_has_one_spool_whatever_else_its_url_says():
    same = (
        "postgresql://me:one@host/lab",
        "postgres://me:two@host/lab",
        "postgresql+psycopg://me@host/lab?password=three",
        "postgresql://me@host/lab?connect_timeout=3&sslmode=require&application_name=lab",
    )
    assert {spool_of(url).path for url in same} == {spool_of(same[0]).path}
    others = (
        "postgresql://me@host/other",
        "postgresql://you@host/lab",
        "postgresql://me@host:1/lab",
        "postgresql://me@host/lab?options=-csearch_path%3Dlab",
        "sqlite:///a",
    )
    assert len({spool_of(url).path for url in (same[0], *others)}) == 6
    with pytest.raises(BadInput, match="%40 for @"):  # else a part of the password would be the host's name
        destination("postgresql://me:p@ss:word@host/lab")


def test_what_a_later_version_kept_is_sent(send_to, tmp_path):
    """Its documents have more fields."""
    document = msgspec.json.decode(msgspec.json.encode(entry(1)))
    document["session"]["new"], document["more"] = 1, [2]
    path = tmp_path / "log.sqlite"
    spool = spool_of(f"sqlite:///{path}")
    spool.keep([msgspec.json.encode(document)])
    one = send_to(f"sqlite:///{path}")
    until(lambda: one.queue.n_rows == N_ROWS)
    assert one.queue.close(PATIENCE) == ""

"""A lost connection loses no row, stops nobody, and is told once; what waits is sent by whoever comes next."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import msgspec
import pytest

from icltui.storage.database import log_queue
from icltui.storage.database.entries import LogEntry, measurement_entry
from icltui.storage.database.log_queue import LogQueue
from icltui.storage.database.spool import Spool
from icltui.storage.database.troubles import LogNews
from icltui.values.errors import DatabaseError
from tests.tui import samples
from tests.waiting import PATIENCE

URL = "postgresql://me:hidden@host/lab"


def until(is_so: Callable[[], object], what: object = None) -> None:
    """Wait for what other threads do."""
    end = monotonic() + PATIENCE
    while not is_so():
        assert monotonic() < end, what
        sleep(0.002)


def entry(n: int = 0) -> LogEntry:
    """A measurement, for each number another."""
    session = samples.session()
    assert session.measurement is not None
    made = measurement_entry(session.model, session.prompt, session.measurement, source="explorer")
    name = f"{n:032}"
    rows = tuple(msgspec.structs.replace(row, session_id=name) for row in made.rows)
    return LogEntry(session=msgspec.structs.replace(made.session, session_id=name), rows=rows)


class FakeDatabase:
    """A database that holds entries by their ids, and goes away when told to."""

    def __init__(self) -> None:
        self.held: dict[str, LogEntry] = {}
        self.reason = self.reason_to_write = ""
        self.n_tries = 0
        self.gate = threading.Event()
        self.gate.set()

    def open(self, _url: str) -> "FakeDatabase":
        self.n_tries += 1
        self.gate.wait(PATIENCE)
        if self.reason:
            raise DatabaseError(self.reason)
        return self

    def write(self, *entries: LogEntry) -> int:
        self.open("")
        if self.reason_to_write:
            raise DatabaseError(self.reason_to_write)
        new = {one.session.session_id: one for one in entries if one.session.session_id not in self.held}
        self.held |= new
        return sum(len(one.rows) for one in new.values())


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDatabase]:
    one = FakeDatabase()
    monkeypatch.setattr("icltui.storage.database.log.open_log", one.open)
    monkeypatch.setattr(log_queue, "SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr(log_queue, "LONGEST_PAUSE", 0.04)
    yield one
    one.gate.set()


class Program:
    """A queue, and what it told."""

    def __init__(self, spool: Path, is_started: bool = True) -> None:
        self.lines: list[str] = []
        self.troubles: list[str] = []
        self.spool = Spool(spool)
        self.queue = LogQueue(URL, self.spool, self._told)
        if is_started:
            self.queue.start()

    def _told(self, line: str, news: LogNews) -> None:
        (self.lines if news == "written" else self.troubles).append(line)

    def end(self) -> None:
        """Let its threads end."""
        self.queue.close(0)

    def put(self, *numbers: int) -> None:
        """Send these, and wait until they are safe."""
        kept = self.queue.put(lambda: [entry(n) for n in numbers])
        assert kept is not None
        kept.result(PATIENCE)


@pytest.fixture
def program(tmp_path: Path, database: FakeDatabase) -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def begin(is_started: bool = True) -> Program:
        programs.append(Program(tmp_path / "log" / "a.sqlite", is_started))
        return programs[-1]

    yield begin
    database.gate.set()
    for one in programs:
        one.end()


def test_rows_go_to_the_database_and_are_told(program, database):
    one = program()
    one.put(1)
    until(lambda: database.held)
    one.put(1)
    assert one.queue.close(PATIENCE) == ""
    n = len(entry().rows)
    assert one.lines == [
        "log: postgresql://me@host/lab is open",
        f"log: {n} rows to postgresql://me@host/lab",
        "log: postgresql://me@host/lab has these rows",
    ]
    assert (one.troubles, one.queue.n_rows, len(one.spool)) == ([], n, 0)


def test_a_lost_connection_loses_no_row_and_is_told_once(program, database):
    one = program()
    one.put(1)
    until(lambda: len(database.held) == 1)
    database.reason = "postgresql://me@host/lab: connection refused"
    one.put(2)
    one.put(3)
    until(lambda: database.n_tries > 6)
    assert len(one.spool) == 2
    lost = f"log: {database.reason}; measurements wait in {one.spool.path}"
    assert one.troubles == [lost]
    database.reason = ""
    until(lambda: len(database.held) == 3)
    assert one.queue.close(PATIENCE) == ""
    assert one.troubles == [lost, "log: postgresql://me@host/lab answers again"]
    assert len(one.spool) == 0


def test_a_database_that_opens_and_takes_nothing_is_told_once(program, database):
    """Such as one that is full, may only be read, or whose tables others may write."""
    database.reason_to_write = "database or disk is full"
    one = program()
    one.put(1)
    until(lambda: database.n_tries > 6)
    lost = f"log: database or disk is full; measurements wait in {one.spool.path}"
    assert one.troubles == [lost]
    database.reason_to_write = ""
    until(lambda: database.held)
    assert one.queue.close(PATIENCE) == ""
    assert one.troubles == [lost, "log: postgresql://me@host/lab answers again"]
    assert sum("is open" in line for line in one.lines) == 1


def test_pauses_grow_and_new_work_ends_them(program, database, monkeypatch):
    monkeypatch.setattr(log_queue, "SHORTEST_PAUSE", PATIENCE)
    monkeypatch.setattr(log_queue, "LONGEST_PAUSE", 2 * PATIENCE)
    database.reason = "gone"
    one = program()
    until(lambda: one.troubles)
    for n in (1, 2):
        one.put(n)
        until(lambda n=n: database.n_tries == 1 + n)
    database.reason = ""
    one.put(3)
    until(lambda: len(database.held) == 3)
    assert one.queue.close(PATIENCE) == ""


def test_the_next_program_sends_what_was_left(program, database):
    database.reason = "gone"
    one = program()
    one.put(1)
    one.put(2)
    assert one.queue.close(0.5) == (
        f"log: 2 measurements are kept in {one.spool.path}, which the next start with this --log sends"
    )
    assert database.held == {}
    database.reason = ""
    two = program()
    until(lambda: len(database.held) == 2)
    assert two.queue.close(PATIENCE) == ""
    assert len(two.spool) == 0


def test_a_program_that_never_began_to_send_keeps_all(program, database):
    one = program(is_started=False)
    one.put(1)
    assert "1 measurement is kept in" in one.queue.close()
    assert (len(one.spool), database.n_tries) == (1, 0)


def test_two_programs_with_one_spool_lose_and_double_nothing(program, database):
    database.reason = "gone"
    several = [program(), program()]
    for n in range(6):
        several[n % 2].put(n)
    database.reason = ""
    until(lambda: len(database.held) == 6)
    assert [one.queue.close(PATIENCE) for one in several] == ["", ""]
    assert sum(one.queue.n_rows for one in several) == 6 * len(entry().rows)
    assert len(several[0].spool) == 0


def test_a_database_that_hangs_stops_nobody(program, database):
    database.gate.clear()
    one = program()
    until(lambda: database.n_tries)
    one.put(1)
    began, said = monotonic(), list[str]()
    assert "1 measurement is kept" in one.queue.close(0.05, say=said.append)
    assert monotonic() - began < PATIENCE / 2
    assert said == [
        "log: postgresql://me@host/lab: waiting for it to take what is left (Ctrl-C leaves that to the next start)"
    ]


def test_a_patient_end_waits_as_long_as_something_moves(program, database, monkeypatch):
    monkeypatch.setattr("icltui.storage.database.spool._MOST_AT_ONCE", 1)
    monkeypatch.setattr(log_queue, "_UNNOTICED", 0.01)
    database.write, write = lambda *entries: (sleep(0.15), write(*entries))[1], database.write
    one = program()
    one.put(*range(10))
    assert one.queue.close(1.0, is_patient=True) == ""
    assert len(database.held) == 10


def test_a_spool_that_cannot_be_written_is_told_and_nothing_else_breaks(program, database):
    one = program()
    one.spool.path.mkdir(parents=True)
    one.put(1)
    until(lambda: len(database.held) == 1)
    (line,) = one.troubles
    assert line.startswith(f"log: {one.spool.path} cannot be ")
    assert line.endswith(
        "unable to open database file: until that is mended, measurements wait in memory alone"
    )
    os.rmdir(one.spool.path)
    one.put(2)
    assert one.queue.close(PATIENCE) == ""
    assert one.troubles[1:] == [f"log: {one.spool.path} is written again"]
    assert len(database.held) == 2


def test_without_database_and_disk_the_loss_is_told(program, database):
    database.reason = "gone"
    one = program()
    one.spool.path.mkdir(parents=True)
    one.put(1, 2)
    assert one.queue.close(0.5) == (
        "log: 2 measurements are lost: postgresql://me@host/lab did not take them, and "
        f"{one.spool.path} neither"
    )


def test_memory_for_what_no_disk_takes_has_a_bound(program, database, monkeypatch):
    monkeypatch.setattr("icltui.storage.database.backlog._MOST_HELD", len(msgspec.json.encode(entry())) + 9)
    database.reason = "gone"
    one = program()
    one.spool.path.mkdir(parents=True)
    one.put(1, 2)
    until(lambda: len(one.troubles) == 3)
    assert "the memory for measurements that wait is full: what comes is not logged" in "".join(one.troubles)


def test_a_document_of_another_version_blocks_no_other(program, database):
    spool = program(is_started=False).spool
    spool.keep([b'{"rows": []}', msgspec.json.encode(entry(1)), b"\xff"])
    one = program()
    until(lambda: len(database.held) == 1)
    assert one.queue.close(PATIENCE) == ""
    assert "an entry of another version" in one.troubles[0]


def test_what_cannot_be_made_an_entry_is_left_out(program, database):
    one = program()
    one.queue.put(lambda: [entry(1), 1 / 0])
    one.put(2)
    until(lambda: len(database.held) == 1)
    assert one.troubles == ["log: a measurement is left out: ZeroDivisionError: division by zero"]
    one.queue.close(PATIENCE)


def test_a_disk_that_does_not_answer_stops_nobody(program, monkeypatch):
    monkeypatch.setattr(log_queue, "_MOST_PENDING", 2)
    one, gate = program(), threading.Event()

    def hang() -> list[LogEntry]:
        gate.wait(PATIENCE)
        return []

    waiting = [one.queue.put(hang) for _ in range(3)]
    assert waiting[2] is None
    assert "the disk does not answer" in one.troubles[0]
    gate.set()
    until(lambda: one.troubles[1:])
    assert "the disk answers again" in one.troubles[1]
    one.put(1)
    assert one.queue.close(PATIENCE) == ""

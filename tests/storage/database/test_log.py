"""The log on a SQLite file and on a real PostgreSQL: twice is once, and what is cut short leaves nothing half."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import asdict, replace

from icltui.storage.database.entries import LogEntry, measurement_entry, session_entries
from icltui.storage.database.log import DatabaseLog, open_log
from icltui.storage.paths import example_sessions
from icltui.storage.sessions import read_session, write_session
from icltui.values.errors import DatabaseError
from icltui.values.recipe import Recipe
from tests.postgres import PostgresServer, running_postgres
from tests.sessions import A_MEASUREMENT, A_MODEL, A_SESSION, HOSTILE, sessions

sqlalchemy = pytest.importorskip("sqlalchemy")

ENTRY = measurement_entry(
    replace(A_MODEL, name=HOSTILE),
    replace(A_SESSION.prompt, context=f"\0{HOSTILE}"),
    A_MEASUREMENT,
    source="measure",
    title="a title",
    recipe=Recipe(queries=("\0", HOSTILE)),
)
OTHER = next(session_entries(A_SESSION))


def rows(log: DatabaseLog, table: str = "icl_dynamics_log") -> list[dict[str, Any]]:
    with log._engine.begin() as connection:
        found = connection.execute(sqlalchemy.text(f"SELECT * FROM {table} ORDER BY 1"))
        return [dict(row) for row in found.mappings()]


def counts(log: DatabaseLog) -> tuple[int, int]:
    return len(rows(log, "icl_dynamics_session")), len(rows(log))


def test_every_number_and_text_comes_back(url):
    log = open_log(url)
    assert log.write(ENTRY) == 6
    found = rows(log)
    assert [{name: row[name] for name in asdict(ENTRY.rows[0])} for row in found] == [
        *map(asdict, ENTRY.rows)
    ]
    assert [row["id"] for row in found] == sorted({row["id"] for row in found})
    (session,) = rows(log, "icl_dynamics_session")
    assert session["model"] == ENTRY.session.model
    assert session["context_text"] == f"␀{ENTRY.session.model}"
    assert session["created_at"] == found[0]["created_at"]


def test_what_is_written_twice_is_there_once(url):
    entries = [entry for path in example_sessions() for entry in session_entries(read_session(path))]
    n_rows = sum(len(entry.rows) for entry in entries)
    log = open_log(url)
    assert (log.write(*entries), counts(log)) == (n_rows, (len(entries), n_rows))
    assert [log.write(entry) for entry in entries] == [0] * len(entries)
    again = open_log(url)
    assert (again.write(OTHER, *entries), counts(again)) == (6, (len(entries) + 1, n_rows + 6))
    assert (len(entries), n_rows > 1000) == (7, True)


@pytest.mark.soak
@settings(max_examples=50, deadline=None, suppress_health_check=[*HealthCheck])
@given(session=sessions())
def test_any_session_can_be_written_and_is_there_once(url, session):
    log = open_log(url)
    entries = [*session_entries(session)]
    n_before = len(rows(log))
    n_new = log.write(*entries)
    assert len(rows(log)) == n_before + n_new
    assert log.write(*entries) == 0
    ids = {entry.session.session_id for entry in entries}
    there = [row for row in rows(log) if row["session_id"] in ids]
    assert len(there) >= sum(len(entry.rows) for entry in entries)


def test_the_recipe_can_be_asked_for_by_name(url):
    log = open_log(url)
    log.write(ENTRY)
    with log._engine.begin() as connection:
        statement = "SELECT recipe ->> 'mode' FROM icl_dynamics_session"
        assert connection.execute(sqlalchemy.text(statement)).scalar() == "per-step"


def test_a_part_is_completed_later(url):
    log = open_log(url)
    assert log.write(replace(ENTRY, rows=ENTRY.rows[:4])) == 4
    assert (log.write(ENTRY), counts(log)) == (2, (1, 6))


def test_nothing_to_write(url):
    log = open_log(url)
    assert (log.write(), log.write(replace(ENTRY, rows=())), counts(log)) == (0, 0, (1, 0))


def test_where_a_database_passes_over_no_row_they_are_looked_for_first(url, monkeypatch):
    monkeypatch.setattr("icltui.storage.database.log._PASSES_OVER", ())
    log = open_log(url)
    assert log.write(replace(ENTRY, rows=ENTRY.rows[:4])) == 4
    assert [log.write(ENTRY, OTHER), log.write(ENTRY)] == [8, 0]
    assert counts(log) == (2, 12)


def test_four_writers_at_once_make_the_tables_and_each_row_once(url):
    barrier = Barrier(4)

    def write(number: int) -> int:
        barrier.wait()
        log = open_log(url)
        order = (ENTRY, OTHER) if number % 2 else (OTHER, ENTRY)
        return log.write(*order)

    with ThreadPoolExecutor(4) as threads:
        written = [*threads.map(write, range(4))]
    assert (sum(written), counts(open_log(url))) == (12, (2, 12))


def test_two_writers_of_one_sweep_do_not_wait_for_each_other(postgres: PostgresServer):
    """Each holds its first measurement until the other has begun: in different orders that would be a deadlock."""
    url, barrier = postgres.new_url(), Barrier(2)
    open_log(url)

    def meet(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO icl_dynamics_session"):
            with contextlib.suppress(BrokenBarrierError):
                barrier.wait(0.2)

    def write(entries: tuple[LogEntry, ...]) -> int:
        log = open_log(url)
        sqlalchemy.event.listen(log._engine, "after_cursor_execute", meet)
        return log.write(*entries)

    with ThreadPoolExecutor(2) as threads:
        assert sum(threads.map(write, [(ENTRY, OTHER), (OTHER, ENTRY)])) == 12


def test_two_processes_at_once(tmp_path):
    path, log = tmp_path / "s.json", tmp_path / "log.sqlite"
    write_session(path, A_SESSION)
    command = [sys.executable, "-m", "icltui", "export", path, "--to", "sql", "-o", log]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    new = sorted(int(line.split(": ")[-1].split()[0]) for line in said)
    assert (new, counts(open_log(log))) == ([0, 6], (1, 6))


@contextlib.contextmanager
def when_rows_are_written(log: DatabaseLog, then: Any) -> Iterator[None]:
    """Call ``then`` with the connection after the measurement's first rows are in, before they are committed."""

    def after(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO icl_dynamics_log"):
            then(connection)

    sqlalchemy.event.listen(log._engine, "after_cursor_execute", after)
    yield
    sqlalchemy.event.remove(log._engine, "after_cursor_execute", after)


def test_an_interrupted_write_leaves_nothing_half(url):
    log = open_log(url)

    def stop(_: Any) -> None:
        raise InterruptedError

    with when_rows_are_written(log, stop), pytest.raises(DatabaseError):
        log.write(OTHER, ENTRY)
    assert counts(log) == (0, 0)
    assert log.write(OTHER, ENTRY) == 12


def test_a_connection_that_is_cut_loses_no_row(postgres: PostgresServer):
    url = postgres.new_url()
    log = open_log(url)
    log.write(OTHER)

    def cut(connection: Any) -> None:
        backend = connection.connection.driver_connection.info.backend_pid
        assert postgres.run(f"SELECT pg_terminate_backend({backend}, 10000)") == [(True,)]

    with (
        when_rows_are_written(log, cut),
        pytest.raises(DatabaseError, match=r"terminating connection|server closed"),
    ):
        log.write(ENTRY)
    assert counts(log) == (1, 6)
    assert (log.write(ENTRY), counts(log)) == (6, (2, 12))


@pytest.mark.soak
def test_a_server_that_stops_loses_no_row():
    with running_postgres() as server:
        log = open_log(server.new_url())
        log.write(OTHER)
        with when_rows_are_written(log, lambda _: server.stop()), pytest.raises(DatabaseError) as caught:
            log.write(ENTRY)
        assert len(str(caught.value).splitlines()) == 1
        with pytest.raises(DatabaseError, match="check host and port, and that it runs"):
            log.write(ENTRY)
        server.start()
        assert counts(log) == (1, 6)
        assert (log.write(ENTRY), counts(log)) == (6, (2, 12))


@pytest.mark.soak
def test_a_killed_process_leaves_nothing_half(tmp_path: Path):
    path = tmp_path / "log.sqlite"
    log = open_log(path)
    code = (
        "import os, sys, sqlalchemy\nfrom tests.storage.database.test_log import *\n"
        f"log = open_log(Path({str(path)!r}))\n"
        "with when_rows_are_written(log, lambda _: os.kill(os.getpid(), 9)): log.write(ENTRY)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert counts(log) == (0, 0)
    assert (log.write(ENTRY), counts(log)) == (6, (1, 6))

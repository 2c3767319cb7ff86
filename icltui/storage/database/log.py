"""Writing the log: each measurement in one transaction, and twice is as good as once.

Nothing of it is imported before a database is asked for.
"""

import importlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from icltui.storage.database.address import make_engine, read_url, shown_url
from icltui.storage.database.entries import LogEntry
from icltui.storage.database.failure import one_line_errors

if TYPE_CHECKING:
    import sqlalchemy

_PASSES_OVER = (("sqlite", "pysqlite"), ("postgresql", "psycopg"))
"""Where the database itself passes over a row that is there, and the driver counts the others right."""


class DatabaseLog:
    """The log in a database, whose tables are there. Any thread may use it; :func:`open_log` makes it."""

    def __init__(self, engine: "sqlalchemy.Engine", shown: str) -> None:
        self._engine = engine
        self.shown = shown
        """The database as it may be shown: its URL without password."""

    def write(self, *entries: LogEntry) -> int:
        """Write the measurements, all of them in one transaction; how many rows of them were not there yet.

        Raises:
            DatabaseError: they could not be written. Then none of them is, and to write them again is safe.
        """
        now = datetime.now(UTC)
        with one_line_errors(self._engine.url, self.shown), self._engine.begin() as connection:
            # In one order everywhere, so that no two writers wait for each other.
            ordered = sorted(entries, key=lambda entry: entry.session.session_id)
            return sum(_add(connection, entry, now) for entry in ordered)


def open_log(url: str | Path) -> DatabaseLog:
    """Connect to the database of a URL, or the SQLite file at a path, and make the tables where they are missing.

    Raises:
        BadInput: the URL, its driver or the library is missing or wrong.
        DatabaseError: the database cannot be reached or written, or has other tables of these names.
    """
    address = read_url(url)
    engine, shown = make_engine(address), shown_url(address)
    from icltui.storage.database.table_check import make_tables

    with one_line_errors(address, shown):
        make_tables(engine, shown)
    return DatabaseLog(engine, shown)


def _add(connection: "sqlalchemy.Connection", entry: LogEntry, now: datetime) -> int:
    """New rows of the log."""
    from icltui.storage.database.tables import LOG, LOG_KEY, SESSION, SESSION_KEY

    _insert(connection, SESSION, SESSION_KEY, [{**asdict(entry.session), "created_at": now}])
    return _insert(connection, LOG, LOG_KEY, [{**asdict(row), "created_at": now} for row in entry.rows])


def _insert(
    connection: "sqlalchemy.Connection",
    table: "sqlalchemy.Table",
    key: Sequence[str],
    rows: list[dict[str, Any]],
) -> int:
    """Insert those of one measurement's rows that are not there; how many."""
    if not rows:
        return 0
    dialect = connection.dialect
    if (dialect.name, dialect.driver) in _PASSES_OVER:
        dialect = importlib.import_module(f"sqlalchemy.dialects.{dialect.name}")
        insert = dialect.insert(table).on_conflict_do_nothing(index_elements=key)
        counted = {"preserve_rowcount": True}
        return int(connection.execute(insert, rows, execution_options=counted).rowcount)
    missing = _missing(connection, table, key, rows)
    if missing:
        connection.execute(table.insert(), missing)
    return len(missing)


def _missing(
    connection: "sqlalchemy.Connection",
    table: "sqlalchemy.Table",
    key: Sequence[str],
    rows: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    from sqlalchemy import select

    query = select(*(table.c[name] for name in key)).where(table.c.session_id == rows[0]["session_id"])
    there = {tuple(row) for row in connection.execute(query)}
    return [row for row in rows if tuple(row[name] for name in key) not in there]

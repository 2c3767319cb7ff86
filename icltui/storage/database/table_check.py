"""The tables in a database: made where they are missing, and refused where they are others of the same name."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Table, inspect, types
from sqlalchemy.exc import IntegrityError, ProgrammingError

from icltui.storage.database.stored_value import MOST_TEXT
from icltui.storage.database.tables import LOG, LOG_KEY, METADATA, SESSION_KEY
from icltui.values.errors import DatabaseError

if TYPE_CHECKING:
    import sqlalchemy

_TRIES = 3
_WAY_OUT = "rename that table, or name another database"


def make_tables(engine: "sqlalchemy.Engine", where: str) -> None:
    """Check what is there, and make what is missing, in one transaction.

    Raises:
        DatabaseError: a table of that name lacks a column, or has one of another type, or one that must be given.
    """
    for left in reversed(range(_TRIES)):
        try:
            with engine.begin() as connection:
                inspector = inspect(connection)
                for table in METADATA.sorted_tables:
                    if inspector.has_table(table.name):
                        _check(inspector, table, where)
                METADATA.create_all(connection)
            return
        except (IntegrityError, ProgrammingError):  # such as where another process made them meanwhile
            if not left:
                raise


def _check(inspector: Any, table: Table, where: str) -> None:
    name, dialect = table.name, inspector.dialect.name
    found = {column["name"]: column for column in inspector.get_columns(name)}
    for column in table.columns:
        if column.name not in found:
            raise DatabaseError(f"{where}: its table {name} has no column {column.name}: {_WAY_OUT}")
        if problem := _problem(column, found[column.name], dialect):
            raise DatabaseError(f"{where}: its table {name} has a column {column.name} {problem}: {_WAY_OUT}")
    for extra in found.values():
        if extra["name"] not in table.columns and _must_be_given(extra):
            raise DatabaseError(
                f"{where}: its table {name} has a column {str(extra['name'])!a} that must be given, which the log does "
                f"not know: give it a default, or {_WAY_OUT}"
            )
    key = LOG_KEY if table is LOG else SESSION_KEY
    if {*key} not in _unique_keys(inspector, name):
        raise DatabaseError(
            f"{where}: its table {name} has no unique index on {', '.join(key)}, without which rows would be there "
            f"twice: make one, or {_WAY_OUT}"
        )


def _problem(column: Column[Any], found: dict[str, Any], dialect: str) -> str:
    """Why the column that was found cannot hold what the log writes; empty where it can."""
    kind = found["type"]
    if not _holds(column.type, kind, dialect):
        return f"of type {kind}, not {column.type}"
    if column.nullable and not found["nullable"]:
        return "that must not be empty, and some rows have no such number"
    if column.primary_key and column.name == "id" and not _counts(found, dialect):
        return "that does not count by itself"
    return ""


def _holds(ours: Any, theirs: Any, dialect: str) -> bool:
    """Whether every value of our type is one of theirs, to the last digit."""
    if isinstance(ours, types.String):
        length = getattr(theirs, "length", None)
        most = ours.length or MOST_TEXT
        return isinstance(theirs, types.String) and (length is None or length >= most)
    if isinstance(ours, types.Integer):
        return isinstance(theirs, types.Integer) and not isinstance(theirs, types.SmallInteger)
    if isinstance(ours, types.Double):
        # Of SQLite's numbers each has eight bytes.
        return isinstance(theirs, types.Float) and (dialect == "sqlite" or not isinstance(theirs, types.REAL))
    return isinstance(theirs, types.DateTime if isinstance(ours, types.DateTime) else types.JSON)


def _counts(found: dict[str, Any], dialect: str) -> bool:
    return (dialect == "sqlite" and bool(found.get("primary_key"))) or not _must_be_given(found)


def _must_be_given(found: dict[str, Any]) -> bool:
    by_itself = ("identity", "computed", "default")
    return (
        not found["nullable"]
        and not any(found.get(name) for name in by_itself)
        and found.get("autoincrement") is not True
    )


def _unique_keys(inspector: Any, name: str) -> list[set[str]]:
    indexes = [index["column_names"] for index in inspector.get_indexes(name) if index["unique"]]
    constraints = [one["column_names"] for one in inspector.get_unique_constraints(name)]
    primary = inspector.get_pk_constraint(name)["constrained_columns"]
    return [set(columns) for columns in (*indexes, *constraints, primary)]

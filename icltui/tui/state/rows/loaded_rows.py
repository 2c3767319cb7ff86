"""The rows of one folder, as they were when it was read."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from icltui import __version__
from icltui.storage.row_store import read_rows
from icltui.storage.rows_folder import read_record
from icltui.storage.text_file import read_bytes
from icltui.tui.state.rows.columns import RowColumn, row_columns
from icltui.values.results import Summary
from icltui.values.sweep import RowsFolder

_LONGEST_SUMMARY = 2**26
"""Bytes of a summary that are read."""


@dataclass(frozen=True, eq=False)
class LoadedRows:
    """The columns, and what the folder says beside them."""

    folder: Path
    table: Any
    """The pyarrow Table, from whose rows sessions are made."""
    columns: tuple[RowColumn, ...]
    record: RowsFolder
    """What the folder says that it holds."""
    summary: Summary | None = None
    """What is in summary.json; None where there is none."""

    @property
    def note(self) -> str:
        """That the rows are of another version; empty where they are not."""
        theirs = self.record.version
        return "" if theirs == __version__ else f"rows of icltui {theirs}, and this is {__version__}"

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return int(self.table.num_rows)

    @cached_property
    def by_name(self) -> dict[str, RowColumn]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}

    @cached_property
    def shown(self) -> tuple[RowColumn, ...]:
        """The columns that hold anything."""
        return tuple(column for column in self.columns if not column.is_empty) or self.columns

    def row(self, at: int) -> dict[str, object]:
        """Every field of one row, as it was written."""
        return {name: self.table.column(name)[at].as_py() for name in self.table.column_names}

    def row_like(self, other: "LoadedRows", at: int) -> int | None:
        """The row that is the row ``at`` of an earlier reading; None where it is gone."""
        import pyarrow.compute as pc

        key, part = (other.table.column(name)[at] for name in ("key", "part"))
        is_it = pc.and_(pc.equal(self.table.column("key"), key), pc.equal(self.table.column("part"), part))
        found = pc.index(is_it, True).as_py()
        return found if found >= 0 else None


def load_rows(folder: Path) -> LoadedRows:
    """Read a folder; takes up to seconds, and belongs in a thread.

    Raises:
        BadInput: there are no rows, they are of another version or cannot be read, or pyarrow is missing.
    """
    record = read_record(folder)
    table = read_rows(folder)
    return LoadedRows(folder, table, row_columns(table), record, read_summary(folder))


def read_summary(folder: Path) -> Summary | None:
    """The folder's summary; None where there is none that can be read."""
    try:
        return msgspec.json.decode(read_bytes(folder / "summary.json", _LONGEST_SUMMARY), type=Summary)
    except (OSError, ValueError, RecursionError):  # the latter two also of msgspec
        return None

"""Documents on their way to a database: each is in a file of the user's own until the database has it.

Any number of programs share the file: each operation opens it anew, and SQLite locks it. It is the standard library's
SQLite, so that no other library has to be there, or loaded, for a document to be safe.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from icltui import __version__
from icltui.storage.paths import make_folder, shown
from icltui.values.errors import BadInput, reason_of

_ALONE = threading.Lock()
"""One operation at a time in this process, whose threads share the system's locks on a file."""
_PATIENCE = 10.0
"""Seconds to wait for another program's lock."""
_MOST_BYTES = 4 * 2**30
_PAGE = 4096
_MOST_AT_ONCE = 100
_MOST_BYTES_AT_ONCE = 4 * 2**20
_TABLE = (
    "CREATE TABLE IF NOT EXISTS waiting (number INTEGER PRIMARY KEY AUTOINCREMENT, document BLOB NOT NULL, "
    "refused_by TEXT)"
)
_READABLE = "refused_by IS NOT ?"


class SpoolError(BadInput):
    """The file cannot be used: a full disk, no permission, a file of something else."""


class Spool:
    """The file at ``path``, which is made with its first document and shrinks as documents leave it.

    Every method raises :class:`SpoolError` in one line where it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, documents: Sequence[bytes]) -> None:
        """Add documents after all others: all of them, or none."""
        with self._opened("written") as file:
            file.executemany("INSERT INTO waiting (document) VALUES (?)", [(one,) for one in documents])

    def oldest(self) -> list[tuple[int, bytes]]:
        """The first documents that this version can read, each with its number: as many as are sent together."""
        if not self.path.exists():
            return []
        found, size = list[tuple[int, bytes]](), 0
        with self._opened("read") as file:
            asked = f"SELECT number, document FROM waiting WHERE {_READABLE} ORDER BY number LIMIT ?"
            for number, document in file.execute(asked, (__version__, _MOST_AT_ONCE)):
                size += len(document)
                if found and size > _MOST_BYTES_AT_ONCE:
                    break
                found.append((number, document))
        return found

    def remove(self, numbers: Sequence[int]) -> None:
        """Let go of documents: the database has them."""
        with self._opened("written") as file:
            file.executemany("DELETE FROM waiting WHERE number = ?", [(number,) for number in numbers])

    def set_aside(self, number: int) -> None:
        """Keep a document that this version cannot read for another version."""
        with self._opened("written") as file:
            file.execute("UPDATE waiting SET refused_by = ? WHERE number = ?", (__version__, number))

    def __len__(self) -> int:
        """Documents that wait, without those that this version cannot read."""
        if not self.path.exists():
            return 0
        with self._opened("read") as file:
            return int(
                file.execute(f"SELECT count(*) FROM waiting WHERE {_READABLE}", (__version__,)).fetchone()[0]
            )

    @contextlib.contextmanager
    def _opened(self, verb: str) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        try:
            with _ALONE:
                self._make()
                connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
                with contextlib.closing(connection) as file:
                    file.execute("PRAGMA auto_vacuum = FULL")  # takes effect while there is no table
                    file.execute(f"PRAGMA max_page_count = {_MOST_BYTES // _PAGE}")
                    # With the lock from the start: to ask for it in between may fail at once, without waiting.
                    file.execute("BEGIN IMMEDIATE")
                    file.execute(_TABLE)
                    with file:
                        yield file
        except (OSError, sqlite3.Error) as error:
            raise SpoolError(f"{shown(self.path)} cannot be {verb}: {reason_of(error)}") from error

    def _make(self) -> None:
        """Make the file for its owner only; SQLite gives what it puts beside it the same permissions."""
        if not self.path.is_absolute():  # as where no home folder is known
            raise OSError("it is not an absolute path")
        make_folder(self.path.parent)
        # One that is there is not touched: to close it would take SQLite's lock on it from this whole process.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))

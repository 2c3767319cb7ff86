"""``icltui export … --to sql``: a session's measures, or a sweep's rows, as rows of a database."""

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from icltui.cli.output import write_text
from icltui.storage.database.entries import LogEntry, session_entries
from icltui.storage.database.log import open_log
from icltui.storage.database.sweep_folder import folder_entries
from icltui.storage.sessions import read_session, session_title
from icltui.values.errors import BadInput

_AT_ONCE = 200
"""Measurements in one transaction."""


def export_sql(args: argparse.Namespace) -> int:
    """Write them, and say how many rows are new; the same command again adds what is missing."""
    entries = _entries(args.session)
    some = [*islice(entries, _AT_ONCE)]  # what cannot be read is refused before a database is made
    log = open_log(_target(args.target) if args.url is None else args.url)
    n_new = n_rows = n_failed = 0
    while some:
        whole = [entry for entry in some if entry is not None]
        n_new += log.write(*whole)
        n_rows += sum(len(entry.rows) for entry in whole)
        n_failed += len(some) - len(whole)
        some = [*islice(entries, _AT_ONCE)]
    failed = f"; without a result: {n_failed:,} of the sweep's rows" if n_failed else ""
    return write_text(args, f"{log.shown}: {n_new:,} new rows, {n_rows - n_new:,} there before{failed}")


def _entries(path: Path) -> Iterator[LogEntry | None]:
    if path.is_dir():
        return folder_entries(path)
    entries = [*session_entries(read_session(path), session_title(path))]
    if not entries:
        raise BadInput("the session holds no measures, so there is nothing to log: run it and save it first")
    return iter(entries)


def _target(path: Path) -> Path:
    if str(path) == "-":
        raise BadInput("-o - means stdout, where no database can be: name a file, such as log.sqlite")
    return path

"""Rows of a sweep that go to a database as well as to their folder."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from icltui.experiment.run import RowSink, Shard
from icltui.storage.database.entries import LogEntry, sweep_entry
from icltui.storage.database.log_queue import LogQueue
from icltui.storage.database.sweep_folder import sweep_row
from icltui.values.prompt import Positions
from icltui.values.sweep import SweepRow

_AT_ONCE = 1_000


class LoggedRows:
    """A sink of a sweep's rows that hands them to a queue too, before they are in the folder.

    A run that is killed in between computes them again, and they are the same rows of the database.
    """

    def __init__(self, sink: RowSink[SweepRow], queue: LogQueue, positions: Positions) -> None:
        self._sink, self._queue, self._positions = sink, queue, positions
        self._pending: list[SweepRow] = []
        self._logged = set[str]()

    def keys(self, *, failed: bool = True) -> set[str]:
        """See :class:`icltui.experiment.run.RowSink`."""
        return self._sink.keys(failed=failed)

    def append(self, rows: Iterable[SweepRow]) -> None:
        """Keep the rows for both."""
        rows = list(rows)
        self._pending += rows
        self._sink.append(rows)

    def flush(self) -> None:
        """See :class:`icltui.experiment.run.RowSink`."""
        self._log(self._pending)
        self._pending = []
        self._sink.flush()

    def log_others(self, rows: Iterable[Mapping[str, Any]], share: Shard) -> None:
        """Log those rows of the folder that came from earlier runs or other processes, as plain values.

        Of several shares, each logs its own part of them, so that all of them together send each row once.
        """
        others = [row for row in rows if row["key"] not in self._logged and share.holds(row["key"])]
        for begin in range(0, len(others), _AT_ONCE):
            self._log([sweep_row(row) for row in others[begin : begin + _AT_ONCE]])

    def _log(self, rows: list[SweepRow]) -> None:
        self._logged.update(row.key for row in rows if row.error is None)
        kept = self._queue.put(partial(_entries, rows, self._positions)) if rows else None
        if kept is not None:
            kept.result()


def _entries(rows: list[SweepRow], positions: Positions) -> list[LogEntry]:
    return [entry for row in rows if (entry := sweep_entry(row, positions)) is not None]

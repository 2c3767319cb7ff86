"""Rows counted as they come: how many, how many without a result, and the mean of each number."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from icltui.experiment.run import RowSink
from icltui.values.results import ResultRow

RowT = TypeVar("RowT", bound=ResultRow)

_NO_MEASURES = frozenset({"key", "part", "error", "seed"})


@dataclass
class RowTally:
    """Adds up over rows, processes and machines: it pickles."""

    n_rows: int = 0
    n_failed: int = 0
    """Rows that hold an error."""
    _sums: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, rows: Iterable[ResultRow]) -> None:
        """Count these; truth values count as 0 and 1, what is not finite is left out of the means."""
        for row in rows:
            self.n_rows += 1
            self.n_failed += row.error is not None
            if row.error is None:
                for name in row.__struct_fields__:
                    value = getattr(row, name)
                    if isinstance(value, int | float) and name not in _NO_MEASURES and math.isfinite(value):
                        self._sums[name] += value
                        self._counts[name] += 1

    def merge(self, other: "RowTally") -> None:
        """Add what another process counted."""
        self.n_rows += other.n_rows
        self.n_failed += other.n_failed
        for name, value in other._sums.items():
            self._sums[name] += value
        self._counts.update(other._counts)

    def means(self) -> dict[str, float]:
        """The mean of each field that is a number, over the rows that have it."""
        return {name: self._sums[name] / n for name, n in self._counts.items()}


@dataclass
class TalliedRows(Generic[RowT]):
    """A sink of rows that counts what goes through it."""

    sink: RowSink[RowT]
    tally: RowTally

    def keys(self, *, failed: bool = True) -> set[str]:
        """See :class:`icltui.experiment.run.RowSink`."""
        return self.sink.keys(failed=failed)

    def append(self, rows: Iterable[RowT]) -> None:
        """Count the rows and pass them on."""
        rows = list(rows)
        self.tally.add(rows)
        self.sink.append(rows)

    def flush(self) -> None:
        """See :class:`icltui.experiment.run.RowSink`."""
        self.sink.flush()

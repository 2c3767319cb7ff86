"""A run told to trackio or wandb, by the calls that both share: init, log, finish.

Nothing goes over the network unless the user's own settings of the tracker say so: trackio stores locally, wandb is
offline. A tracker that fails is let go with one line; the run goes on.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Protocol

from icltui import __version__
from icltui.experiment.row_tally import RowTally
from icltui.system.child_environment import guard_children
from icltui.text.escape import visible
from icltui.values.errors import BadInput
from icltui.values.results import Summary

TrackerName = Literal["trackio", "wandb"]
TRACKERS: tuple[TrackerName, ...] = ("trackio", "wandb")
_PROJECT = "icltui"
_EVERY = 5.0
"""Seconds between two points."""
_MOST_CELLS = 500


class _Library(Protocol):
    """What the two packages have in common."""

    def init(self, *, project: str, name: str | None, config: dict[str, object]) -> object: ...

    def log(self, metrics: dict[str, object]) -> None: ...

    def finish(self) -> None: ...


class Tracker:
    """One run of an experiment; every call returns, whatever the library does."""

    def __init__(self, library: _Library, name: str, say: Callable[[str], None]) -> None:
        self._library: _Library | None = library
        self._name, self._say = name, say
        self._started = self._told = time.monotonic()

    def begin(self, kind: str, asked: Mapping[str, object]) -> None:
        """Start the run under the kind's name, what was asked as its configuration."""
        config = {**asked, "icltui": __version__}
        self._try(lambda library: library.init(project=_PROJECT, name=None, config={"kind": kind, **config}))

    def tell(self, tally: RowTally, n_left: int, *, at_once: bool = False) -> None:
        """Rows so far, rate and means; at most a point every few seconds unless ``at_once``."""
        now = time.monotonic()
        if now - self._told < _EVERY and not at_once:
            return
        self._told = now
        point: dict[str, object] = {
            "rows": tally.n_rows,
            "failed": tally.n_failed,
            "items_left": n_left,
            "rows_per_second": tally.n_rows / max(now - self._started, 1e-9),
        }
        point |= {f"mean/{name}": mean for name, mean in tally.means().items()}
        self._try(lambda library: library.log(point))

    def end(self, summary: Summary | None) -> None:
        """The summary's numbers as the last point, if there is one, and the end of the run."""
        if summary is not None and (numbers := summary_numbers(summary)):
            self._try(lambda library: library.log(dict(numbers)))
        self._try(lambda library: library.finish())
        self._library = None

    def _try(self, call: Callable[[_Library], object]) -> None:
        if self._library is None:
            return
        try:
            with contextlib.redirect_stdout(sys.stderr):  # stdout is for data
                call(self._library)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the rows matter more
            self._library = None
            self._say(f"{self._name} failed and is let go, the run goes on: {_line(error)}")


def _line(error: Exception) -> str:
    return visible(" ".join(f"{type(error).__name__} {error}".split())[:300])


def summary_numbers(summary: Summary) -> dict[str, float]:
    """Each number of the summary's tables under title, first cell and column.

    >>> from icltui.values.results import SummaryTable
    >>> table = SummaryTable(title="KL", columns=("layer", "mean"), rows=((0, 0.5),))
    >>> summary_numbers(Summary(title="", tables=(table,)))
    {'KL/0/mean': 0.5}
    """
    cells = (
        (f"{table.title}/{row[0]}/{column}", cell)
        for table in summary.tables
        for row in table.rows
        for column, cell in zip(table.columns[1:], row[1:], strict=False)
        if isinstance(cell, int | float)
    )
    return dict(list(cells)[:_MOST_CELLS])


def open_tracker(name: TrackerName, folder: Path, say: Callable[[str], None]) -> Tracker:
    """The tracker called ``name``; wandb's files go into ``folder`` unless the user has another place for them.

    Raises:
        BadInput: it is not installed, or cannot be imported.
    """
    if importlib.util.find_spec(name) is None:
        raise BadInput(f"--track {name} needs {name}, which is not installed: pip install 'icltui[{name}]'")
    guard_children()
    for variable, value in (("WANDB_MODE", "offline"), ("WANDB_DIR", str(folder)), ("WANDB_SILENT", "true")):
        os.environ.setdefault(variable, value)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            library = importlib.import_module(name)
    except Exception as error:
        raise BadInput(f"--track {name}: it cannot be imported: {_line(error)}") from error
    return Tracker(library, name, say)

"""What an experiment leaves: one flat row for each result, and a summary of them in tables, figures and sentences."""

from typing import Literal

from icltui.values.base import Record

Cell = str | int | float | bool | None
"""What a table's cell or a row's field may hold."""


class ResultRow(Record, frozen=True):
    """Base of an experiment's rows: a subclass adds fields of plain values, or tuples of numbers or texts.

    Everything but ``key`` has a default, so that an item that failed is a row too.
    """

    key: str
    """Hash of model, revision, dtype, prompt ids, recipe and version; several rows of one item differ in their own
    fields and in ``part``."""
    part: int = 0
    """Number of the row among those of its item."""
    error: str | None = None
    """Why there is no result, in one line; None where there is one."""


class SummaryTable(Record, frozen=True):
    """One table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    """What the reader must know to read it: units, controls, intervals."""


FigureKind = Literal["lines", "histogram", "scatter", "bars", "heatmap"]


class FigureSeries(Record, frozen=True):
    """Points of one colour; of a histogram ``x`` alone, of bars ``x`` counts from 0 and names come from ``ticks``."""

    label: str
    x: tuple[float | None, ...]
    y: tuple[float | None, ...] = ()
    low: tuple[float | None, ...] = ()
    """Lower ends of intervals around ``y``; empty: none."""
    high: tuple[float | None, ...] = ()
    """Upper ends."""


class SummaryFigure(Record, frozen=True):
    """What a figure shows, without a drawing library."""

    name: str
    """Stem of its file."""
    title: str
    kind: FigureKind
    x_label: str
    y_label: str
    series: tuple[FigureSeries, ...] = ()
    """Empty for a heatmap."""
    ticks: tuple[str, ...] = ()
    """Names along x, at 0, 1, …; empty: numbers."""
    y_ticks: tuple[str, ...] = ()
    """Names along y of a heatmap; empty: numbers."""
    cells: tuple[tuple[float | None, ...], ...] = ()
    """Of a heatmap: rows from the bottom, values along x."""
    log_x: bool = False
    log_y: bool = False


class Summary(Record, frozen=True):
    """What a folder of rows adds up to."""

    title: str
    question: str = ""
    answer: tuple[str, ...] = ()
    """What was found, a sentence each, its figures computed from the rows."""
    shows_not: tuple[str, ...] = ()
    """What it does not show, a sentence each."""
    tables: tuple[SummaryTable, ...] = ()
    figures: tuple[SummaryFigure, ...] = ()
    n_rows: int = 0
    n_failed: int = 0
    """Rows that hold an error."""

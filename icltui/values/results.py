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
    """What it is about."""
    columns: tuple[str, ...]
    """Titles of the columns."""
    rows: tuple[tuple[Cell, ...], ...]
    """One cell for each column."""
    note: str = ""
    """What the reader must know to read it: units, controls, intervals."""


FigureKind = Literal["lines", "histogram", "scatter", "bars", "heatmap"]


class FigureSeries(Record, frozen=True):
    """Points of one colour; of a histogram ``x`` alone, of bars ``x`` counts from 0 and names come from ``ticks``."""

    label: str
    """Its name in the legend."""
    x: tuple[float | None, ...]
    """Along the horizontal axis; of a histogram the values that are counted."""
    y: tuple[float | None, ...] = ()
    """Along the vertical axis."""
    low: tuple[float | None, ...] = ()
    """Lower ends of intervals around ``y``; empty: none."""
    high: tuple[float | None, ...] = ()
    """Upper ends."""


class SummaryFigure(Record, frozen=True):
    """What a figure shows, without a drawing library."""

    name: str
    """Stem of its file."""
    title: str
    """What it shows."""
    kind: FigureKind
    """How it is drawn."""
    x_label: str
    """Name and unit of the horizontal axis."""
    y_label: str
    """Name and unit of the vertical axis."""
    series: tuple[FigureSeries, ...] = ()
    """Empty for a heatmap."""
    ticks: tuple[str, ...] = ()
    """Names along x, at 0, 1, …; empty: numbers."""
    y_ticks: tuple[str, ...] = ()
    """Names along y of a heatmap; empty: numbers."""
    cells: tuple[tuple[float | None, ...], ...] = ()
    """Of a heatmap: rows from the bottom, values along x."""
    log_x: bool = False
    """Whether the horizontal axis is logarithmic."""
    log_y: bool = False
    """Whether the vertical axis is logarithmic."""


class Summary(Record, frozen=True):
    """What a folder of rows adds up to."""

    title: str
    """What it sums up."""
    question: str = ""
    """What was asked; empty where there is no question."""
    answer: tuple[str, ...] = ()
    """What was found, a sentence each, its figures computed from the rows."""
    shows_not: tuple[str, ...] = ()
    """What it does not show, a sentence each."""
    tables: tuple[SummaryTable, ...] = ()
    """The numbers, in the order in which they are read."""
    figures: tuple[SummaryFigure, ...] = ()
    """The same to look at."""
    n_rows: int = 0
    """Rows that it sums up."""
    n_failed: int = 0
    """Rows that hold an error."""

"""Plots of columns over the shown rows: a histogram of one, a scatter of two, several numbers a row as lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.segment import Segment
from textual.strip import Strip

from icltui.tui.draw.plot_area import PlotInk
from icltui.tui.draw.plot_drawing import plot_lines
from icltui.tui.draw.plot_figure import Figure, Scale, Series
from icltui.tui.draw.safe_text import display, number
from icltui.tui.state.rows.columns import RowColumn

_MOST_POINTS, _MOST_ROWS = 4_000, 2_000
"""Points that a scatter draws, and rows that a median of lines is made of."""
_MOST_BINS = 60


@dataclass(frozen=True, eq=False)
class ColumnPlot:
    """What to plot."""

    column: RowColumn
    """Of the rows that are shown."""
    against: RowColumn | None
    """The x axis of a scatter; None: a histogram."""
    row: int | None
    """The line of the row under the cursor."""
    is_log: bool


def draw_plot(plot: ColumnPlot, width: int, height: int, ink: PlotInk) -> list[Strip]:
    """The plot on ``width`` × ``height`` cells."""
    figure = _figure(plot, width)
    if isinstance(figure, Figure):
        return plot_lines(figure, width, height, ink)
    lines = [Strip([Segment(line, ink.base)]).adjust_cell_length(width, ink.base) for line in figure]
    return [*lines, *[Strip.blank(width, ink.base)] * max(height - len(lines), 0)][:height]


def _figure(plot: ColumnPlot, width: int) -> Figure | list[str]:
    """What to draw; lines of text where there is nothing."""
    if plot.column.kind == "numbers":
        return _layers(plot)
    if not plot.column.is_plotted:
        return [display(f"{plot.column.name} holds no numbers: b groups the rows by it")]
    if plot.against is not None:
        return _scatter(plot, plot.against)
    return _histogram(plot, width)


def _layers(plot: ColumnPlot) -> Figure:
    """The row's numbers by layer, and the median of the shown rows."""
    values, n = plot.column.values, len(plot.column)
    step = max(1, n // _MOST_ROWS)
    some = [each for each in values.take(_evenly(n, step)).to_pylist() if each]
    longest = max(map(len, some), default=0)
    medians = [_median([each[at] for each in some if at < len(each)]) for at in range(min(longest, 2_000))]
    mine = (values[plot.row].as_py() or []) if plot.row is not None and plot.row < n else []
    part = f"{len(some):,} of {n:,}" if step > 1 else f"{n:,}"
    return Figure(
        y_title=display(plot.column.name),
        title=f"by index, with the median of {part} rows",
        series=[Series("this row", mine), Series("median", medians)],
        log=plot.is_log,
        x_title="index",
    )


def _evenly(n: int, step: int) -> Any:
    import pyarrow as pa

    return pa.array(range(0, n, step), pa.int64())


def _median(values: Sequence[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None and math.isfinite(value))
    half = len(known) // 2
    return (known[half] + known[~half]) / 2 if known else None


def _scaled(values: Any, is_log: bool) -> Any:
    """The values, or the logarithms of the positive ones."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = values.cast(pa.float64(), safe=False)
    if not is_log:
        return values
    positive = pc.if_else(pc.greater(values, 0.0), values, pa.scalar(None, pa.float64()))
    return pc.log10(positive)


def _histogram(plot: ColumnPlot, width: int) -> Figure | list[str]:
    import pyarrow.compute as pc

    values = _scaled(plot.column.values, plot.is_log)
    name = display(plot.column.name)
    known = values.drop_null()
    title = f"histogram of {len(known):,} rows{_missing(len(values) - len(known), plot.is_log)}"
    if not len(known):
        return [f"{name}: {title}", "No numbers to draw."]
    low, high = pc.min(known).as_py(), pc.max(known).as_py()
    if low == high:
        return [f"{name}: {title}", f"All of them are {number(_back(low, plot.is_log), 9).strip()}."]
    n_bins = max(4, min(_MOST_BINS, (width - 12) // 2))
    counts = [0] * n_bins
    shares = pc.divide(
        pc.subtract(pc.multiply(known, 0.5), low / 2), high / 2 - low / 2
    )  # may overflow undivided
    places = pc.min_element_wise(pc.floor(pc.multiply(shares, float(n_bins))), float(n_bins - 1))
    for pair in pc.value_counts(places).to_pylist():
        counts[int(pair["values"])] = pair["counts"]
    mark = values[plot.row].as_py() if plot.row is not None and plot.row < len(values) else None
    summary = _summary(known, plot.is_log)
    return Figure(
        y_title="rows",
        title=f"{name}{_scale(plot.is_log)}: {title}",
        series=[Series("", [float(count) or None for count in counts], "bars")],
        x_title="",
        x_scale=_axis(low, high, plot.is_log),
        mark=None if mark is None else min(int(_share(mark, low, high) * n_bins), n_bins - 1),
        below=lambda _at: [summary],
    )


def _axis(low: float, high: float, is_log: bool) -> Scale:
    """The x axis from ``low`` to ``high``, which are logarithms on a log scale."""
    return Scale(_back(low, is_log), _back(high, is_log), is_log)


def _scale(is_log: bool) -> str:
    return ", log scale" if is_log else ""


def _missing(n: int, is_log: bool) -> str:
    return f", {n:,} without a {'positive ' if is_log else ''}number" if n else ""


def _summary(known: Any, is_log: bool) -> str:
    import pyarrow.compute as pc

    cuts = pc.quantile(known, q=[0.0, 0.25, 0.5, 0.75, 1.0]).to_pylist()
    names = ("least", "quarter", "median", "three quarters", "most")
    return "  ".join(
        f"{name} {number(_back(cut, is_log), 9).strip()}" for name, cut in zip(names, cuts, strict=True)
    )


def _back(value: float, is_log: bool) -> float:
    try:
        return 10.0**value if is_log else value
    except OverflowError:
        return math.inf


def _scatter(plot: ColumnPlot, against: RowColumn) -> Figure | list[str]:
    import pyarrow.compute as pc

    x, y = (_scaled(column.values, plot.is_log) for column in (against, plot.column))
    both = pc.and_(pc.is_valid(x), pc.is_valid(y))
    xs, ys = x.filter(both), y.filter(both)
    n, step = len(xs), max(1, len(xs) // _MOST_POINTS)
    part = f", {len(range(0, n, step)):,} of them drawn" if step > 1 else ""
    title = f"against {display(against.name)}: {n:,} rows{part}{_missing(len(x) - n, plot.is_log)}"
    if n < 2:
        return [f"{display(plot.column.name)} {title}", "No rows with both numbers to draw."]
    low, high = pc.min(xs).as_py(), pc.max(xs).as_py()
    words = f"correlation {_words(_correlation(xs, ys))}, of ranks {_words(_rank_correlation(xs, ys))}"
    some = _evenly(n, step)
    cloud = Series("", _numbers(ys.take(some), plot.is_log), "cloud", x=_shares(xs.take(some), low, high))
    series = [cloud]
    if plot.row is not None and plot.row < len(x) and both[plot.row].as_py():
        at, value = _share(x[plot.row].as_py(), low, high), _back(y[plot.row].as_py(), plot.is_log)
        series.append(Series("", [value], "points", "◆", x=[at]))
    return Figure(
        y_title=display(plot.column.name),
        title=title,
        series=series,
        focus=1,
        log=plot.is_log,
        x_title="",
        x_scale=_axis(low, high, plot.is_log),
        below=lambda _at: [words],
    )


def _numbers(values: Any, is_log: bool) -> list[float]:
    return [_back(value, is_log) for value in values.to_pylist()]


def _shares(values: Any, low: float, high: float) -> list[float]:
    return [_share(value, low, high) for value in values.to_pylist()]


def _share(value: float, low: float, high: float) -> float:
    return 0.5 if high <= low else (value / 2 - low / 2) / (high / 2 - low / 2)


def _words(value: float | None) -> str:
    return "·" if value is None else f"{value:.2f}"


def _correlation(x: Any, y: Any) -> float | None:
    import pyarrow.compute as pc

    dx, dy = (pc.subtract(v, pc.mean(v)) for v in (x, y))
    xx, yy, xy = (pc.sum(pc.multiply(a, b)).as_py() for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    return xy / math.sqrt(xx) / math.sqrt(yy) if xx > 0 and yy > 0 and math.isfinite(xx + yy) else None


def _rank_correlation(x: Any, y: Any) -> float | None:
    import pyarrow.compute as pc

    return _correlation(*(_mean_ranks(v, pc) for v in (x, y)))


def _mean_ranks(values: Any, pc: Any) -> Any:
    """Equal values have the mean of their ranks."""
    low, high = (pc.cast(pc.rank(values, tiebreaker=how), "float64") for how in ("min", "max"))
    return pc.multiply(pc.add(low, high), 0.5)

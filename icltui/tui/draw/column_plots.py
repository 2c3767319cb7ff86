"""Plots of columns over the shown rows: a histogram of one, a scatter of two, several numbers a row as lines."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from icltui.tui.draw.plotext_renderer import LINE_COLOURS, Figure, Series, fitted, render_plot
from icltui.tui.draw.safe_text import display, graduate, number
from icltui.tui.state.rows.columns import RowColumn

_MOST_POINTS, _MOST_ROWS = 4_000, 2_000
"""Points that a scatter draws, and rows that a median of lines is made of."""
_SMALLEST = (24, 8)
_CURSOR_COLOUR = 244


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


def draw_plot(plot: ColumnPlot, width: int, height: int, colours: Sequence[int] = LINE_COLOURS) -> Text:
    """The plot on ``width`` × ``height`` cells; without ``colours`` in characters alone."""
    if plot.column.kind == "numbers":
        return render_plot(_layers(plot), width, height, colours)
    if not plot.column.is_plotted:
        words = f"{plot.column.name} holds no numbers: b groups the rows by it"
        return fitted([Text(display(words))], width, height)
    if plot.against is not None:
        return _scatter(plot, plot.against, width, height, colours)
    return _histogram(plot, width, height, colours)


def _layers(plot: ColumnPlot) -> Figure:
    """The row's numbers by layer, and the median of the shown rows."""
    values, n = plot.column.values, len(plot.column)
    step = max(1, n // _MOST_ROWS)
    some = [each for each in values.take(_evenly(n, step)).to_pylist() if each]
    longest = max(map(len, some), default=0)
    medians = [_median([each[at] for each in some if at < len(each)]) for at in range(min(longest, 2_000))]
    mine = (values[plot.row].as_py() or []) if plot.row is not None and plot.row < n else []
    part = f"{len(some):,} of {n:,}" if step > 1 else f"{n:,}"
    name, scale = display(plot.column.name), ", log scale" if plot.is_log else ""
    series = [Series("this row", mine, "r"), Series(f"median of {part} rows", medians, "m")]
    return Figure(title=f"{name} by index{scale}", series=series, log=plot.is_log)


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


def _histogram(plot: ColumnPlot, width: int, height: int, colours: Sequence[int]) -> Text:
    import pyarrow.compute as pc

    values = _scaled(plot.column.values, plot.is_log)
    name = display(plot.column.name)
    known = values.drop_null()
    missing = len(values) - len(known)
    heading = [
        Text(f"{name}: histogram of {len(known):,} rows{_scale(plot.is_log)}{_missing(missing, plot.is_log)}")
    ]
    if not len(known):
        return fitted([*heading, Text("No numbers to draw.")], width, height)
    heading.append(Text(_summary(known, plot.is_log)))
    low, high = pc.min(known).as_py(), pc.max(known).as_py()
    if low == high:
        return fitted(
            [*heading, Text(f"All of them are {number(_back(low, plot.is_log), 9).strip()}.")], width, height
        )
    n_bins = max(4, min(60, (width - 12) // 2))
    counts = [0] * n_bins
    shares = pc.divide(
        pc.subtract(pc.multiply(known, 0.5), low / 2), high / 2 - low / 2
    )  # may overflow undivided
    places = pc.min_element_wise(pc.floor(pc.multiply(shares, float(n_bins))), float(n_bins - 1))
    for pair in pc.value_counts(places).to_pylist():
        counts[int(pair["values"])] = pair["counts"]
    mark = values[plot.row].as_py() if plot.row is not None and plot.row < len(values) else None
    cursor = None if mark is None else (mark / 2 - low / 2) / (high / 2 - low / 2)
    ends = [_back(low + (high - low) * share, plot.is_log) for share in _SHARES]
    return _bars(counts, ends, cursor, heading, (width, height), colours)


_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


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


def _begin(width: int, height: int) -> Any:
    import plotext  # in here: the first frame does without, and begins the sooner

    plotext.clear_figure()
    plotext.limitsize(False, False)
    plotext.theme("clear")
    plotext.plotsize(width, height)
    return plotext


def _bars(
    counts: list[int],
    ends: list[float],
    cursor: float | None,
    heading: list[Text],
    size: tuple[int, int],
    colours: Sequence[int],
) -> Text:
    width, height = size[0], size[1] - len(heading)
    if width < _SMALLEST[0] or height < _SMALLEST[1] - 3:
        return fitted([*heading, Text("Too small to draw.")], *size)
    plotext = _begin(width, height)
    n = len(counts)
    colour = colours[0] if colours else None
    plotext.bar(
        [at + 0.5 for at in range(n)], counts, width=1.0, color=colour, marker=None if colours else "#"
    )
    plotext.xlim(0, n)
    plotext.ylim(0, max(counts))
    plotext.xticks([share * n for share in _SHARES], graduate(ends))
    peaks = sorted({0, max(counts) // 2, max(counts)})
    plotext.yticks(peaks, [f"{peak:,}".rjust(8) for peak in peaks])
    if cursor is not None:
        plotext.vline(min(max(cursor, 0.0), 1.0) * n, _CURSOR_COLOUR)
    return fitted([*heading, *Text.from_ansi(plotext.build()).split("\n")], *size)


def _scatter(plot: ColumnPlot, against: RowColumn, width: int, height: int, colours: Sequence[int]) -> Text:
    import pyarrow.compute as pc

    x, y = (_scaled(column.values, plot.is_log) for column in (against, plot.column))
    both = pc.and_(pc.is_valid(x), pc.is_valid(y))
    xs, ys = x.filter(both), y.filter(both)
    n, step = len(xs), max(1, len(xs) // _MOST_POINTS)
    part = f", {len(range(0, n, step)):,} of them drawn" if step > 1 else ""
    names = f"{display(plot.column.name)} against {display(against.name)}"
    heading = [Text(f"{names}: {n:,} rows{part}{_scale(plot.is_log)}{_missing(len(x) - n, plot.is_log)}")]
    if n < 2:
        return fitted([*heading, Text("No rows with both numbers to draw.")], width, height)
    low_x, high_x, low_y, high_y = (f(v).as_py() for v in (xs, ys) for f in (pc.min, pc.max))
    heading.append(
        Text(f"correlation {_words(_correlation(xs, ys))}, of ranks {_words(_rank_correlation(xs, ys))}")
    )
    room = height - len(heading)
    if width < _SMALLEST[0] or room < _SMALLEST[1] - 3:
        return fitted([*heading, Text("Too small to draw.")], width, height)
    plotext = _begin(width, room)
    some = _evenly(n, step)
    points = zip(xs.take(some).to_pylist(), ys.take(some).to_pylist(), strict=True)
    placed = [(_share(a, low_x, high_x), _share(b, low_y, high_y)) for a, b in points]
    plotext.scatter(
        [a for a, _ in placed],
        [b for _, b in placed],
        color=colours[0] if colours else None,
        marker="braille" if colours else ".",
    )
    if plot.row is not None and plot.row < len(x) and both[plot.row].as_py():
        at = _share(x[plot.row].as_py(), low_x, high_x), _share(y[plot.row].as_py(), low_y, high_y)
        plotext.text("◆", *at, color=colours[1] if colours else None, style="bold")
    plotext.xlim(0.0, 1.0)
    plotext.ylim(0.0, 1.0)
    for ticks, low, high in ((plotext.xticks, low_x, high_x), (plotext.yticks, low_y, high_y)):
        ends = [_back(low + (high - low) * share, plot.is_log) for share in _SHARES]
        texts = graduate(ends) if high > low else ["", "", graduate(ends[:1])[0], "", ""]
        ticks(list(_SHARES), [text.rjust(8) if ticks == plotext.yticks else text for text in texts])
    return fitted([*heading, *Text.from_ansi(plotext.build()).split("\n")], width, height)


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

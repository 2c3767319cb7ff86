"""A figure of an experiment's summary as an SVG or a PNG: lines with intervals, histogram, scatter, bars, heatmap.

What has no number (None, not finite, or not positive on a logarithmic axis) is left out of the drawing.
"""

import itertools
import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from icltui.report.figure_style import (
    COLOURS,
    MARKS,
    FigureFormat,
    drawable,
    line_style,
    render_figure,
    shades,
)
from icltui.values.results import FigureKind, FigureSeries, SummaryFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HEIGHT, _HEAT_HEIGHT = 3.4, 4.2
_MOST_TICKS = 32
_LONGEST, _TITLE, _LABEL = 16, 100, 60
_FEW = 12
"""So many points or fewer have bars for their intervals instead of a band."""
_MANY = 2000
"""More points than this are one picture inside an SVG, which would else take megabytes."""
_MOST_BINS = 40
_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "----")
_LARGEST = 1e300
"""Beyond this the width of an axis overflows."""

Points = list[float]


def experiment_figure(figure: SummaryFigure, kind: FigureFormat) -> bytes:
    """The figure's bytes, the same each time.

    Raises:
        BadInput: Matplotlib is not installed.
    """
    height = _HEAT_HEIGHT if figure.kind == "heatmap" else _HEIGHT
    return render_figure(lambda drawn: _draw(drawn, figure), height, kind, "study")


def _draw(drawn: "Figure", figure: SummaryFigure) -> None:
    axes: Axes = drawn.subplots()
    axes.set_title("\n".join(textwrap.wrap(drawable(figure.title, 2 * _TITLE), _TITLE)) or " ")
    axes.set_xlabel(drawable(figure.x_label, _LABEL))
    axes.set_ylabel(drawable(figure.y_label, _LABEL))
    if not _has_numbers(figure):
        axes.text(0.5, 0.5, "no numbers", ha="center", va="center", transform=axes.transAxes)
        axes.set(xticks=(), yticks=())
        return
    _DRAW[figure.kind](axes, figure)
    _label_ticks(axes, figure)
    if len(figure.series) > 1 or any(series.label for series in figure.series):
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1, 1))


def _has_numbers(figure: SummaryFigure) -> bool:
    if figure.kind == "heatmap":
        return any(map(math.isfinite, itertools.chain.from_iterable(map(_numbers, figure.cells))))
    return any(any(map(math.isfinite, _drawn_values(figure, series))) for series in figure.series)


def _drawn_values(figure: SummaryFigure, series: FigureSeries) -> Points:
    """The values that the axis of the numbers has: along x for a histogram, else along y."""
    if figure.kind == "histogram":
        return _numbers(series.x, positive=figure.log_x)
    ys = _numbers(series.y, positive=figure.log_y)
    return [
        y for x, y in zip(_numbers(series.x, positive=figure.log_x), ys, strict=False) if math.isfinite(x)
    ]


def _numbers(values: Sequence[float | None], *, positive: bool = False) -> Points:
    """As floats, NaN for what cannot be drawn."""
    return [
        math.nan if v is None or not abs(v) < _LARGEST or (positive and v <= 0) else float(v) for v in values
    ]


def _label(series: FigureSeries) -> str:
    text = drawable(series.label, 28)
    return f" {text}" if text.startswith("_") else text  # Matplotlib hides such a name


def _scale_axes(axes: "Axes", figure: SummaryFigure) -> None:
    """Logarithms where asked, and whole numbers between which nothing is measured."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    for name, is_log in (("x", figure.log_x), ("y", figure.log_y)):
        if is_log:
            axes.set(**{f"{name}scale": "log"})
            axis = axes.xaxis if name == "x" else axes.yaxis
            low, high = axis.get_view_interval()
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 300 * low else (1.0,)))
            axis.set_major_formatter("{x:g}")  # the powers that Matplotlib writes are markup
            axis.set_minor_formatter(NullFormatter())
    if not figure.log_x and _are_whole(figure):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _are_whole(figure: SummaryFigure) -> bool:
    values = [x for series in figure.series for x in _numbers(series.x) if math.isfinite(x)]
    return all(x.is_integer() for x in values)


def _draw_lines(axes: "Axes", figure: SummaryFigure) -> None:
    for at, series in enumerate(figure.series):
        xs, ys = _numbers(series.x, positive=figure.log_x), _numbers(series.y, positive=figure.log_y)
        n = min(len(xs), len(ys))
        axes.plot(xs[:n], ys[:n], label=_label(series), **line_style(at, n))
        if low_high := _interval(figure, series, n):
            colour = COLOURS[at % len(COLOURS)]
            if n > _FEW:
                axes.fill_between(xs[:n], *low_high, color=colour, alpha=0.18, linewidth=0)
            else:
                axes.vlines(xs[:n], *low_high, color=colour, linewidth=0.8, alpha=0.8)
    _scale_axes(axes, figure)


def _interval(figure: SummaryFigure, series: FigureSeries, n: int) -> tuple[Points, Points] | None:
    """Lower and upper ends, where every point has both; an end that cannot be drawn ends at the point itself."""
    if min(len(series.low), len(series.high), n) < n or n == 0:
        return None
    ys = _numbers(series.y, positive=figure.log_y)
    ends = (_numbers(found, positive=figure.log_y) for found in (series.low, series.high))
    low, high = ([e if math.isfinite(e) else y for e, y in zip(end, ys, strict=False)][:n] for end in ends)
    return low, high


def _draw_histogram(axes: "Axes", figure: SummaryFigure) -> None:
    """All series in the same bins; a filled one alone, outlines where there are several."""
    values = [
        [x for x in _numbers(series.x, positive=figure.log_x) if math.isfinite(x)] for series in figure.series
    ]
    edges = _bin_edges(list(itertools.chain.from_iterable(values)), is_log=figure.log_x)
    for at, (series, found) in enumerate(zip(figure.series, values, strict=True)):
        look = {key: line_style(at, 1)[key] for key in ("color", "linestyle")}
        is_alone = len(figure.series) == 1
        axes.hist(
            found,
            edges,
            histtype="stepfilled" if is_alone else "step",
            label=_label(series),
            alpha=0.8,
            **look,
        )
    _scale_axes(axes, figure)


def _bin_edges(values: Points, *, is_log: bool) -> Points:
    """Ends of at most 40 equal bins, about the square root of the count; equal in the logarithm where asked.

    >>> _bin_edges([0.0, 1.0, 2.0, 4.0], is_log=False)
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    first, last = min(values), max(values)
    if not last > first:
        pad = max(abs(first) / 20, 1e-9)
        first, last = (first / 1.05, first * 1.05) if is_log else (first - pad, first + pad)
    low, high = (math.log(first), math.log(last)) if is_log else (first, last)
    n_bins = min(_MOST_BINS, max(4, math.isqrt(len(values))))
    inner = [low + (high - low) * at / n_bins for at in range(1, n_bins)]
    return [first, *(map(math.exp, inner) if is_log else inner), last]


def _draw_scatter(axes: "Axes", figure: SummaryFigure) -> None:
    for at, series in enumerate(figure.series):
        xs, ys = _numbers(series.x, positive=figure.log_x), _numbers(series.y, positive=figure.log_y)
        n, colour = min(len(xs), len(ys)), COLOURS[at % len(COLOURS)]
        axes.scatter(
            xs[:n],
            ys[:n],
            s=14,
            alpha=0.7 if n <= _MANY else 0.3,
            facecolors="none" if at % 2 else colour,  # hollow and full differ in grey
            edgecolors=colour,
            marker=MARKS[:5][at % 5],
            linewidths=0.8,
            label=_label(series),
            rasterized=n > _MANY,
        )
    _scale_axes(axes, figure)


def _draw_bars(axes: "Axes", figure: SummaryFigure) -> None:
    """Series side by side, apart by hatching as well as by colour."""
    width = 0.8 / max(1, len(figure.series))
    for at, series in enumerate(figure.series):
        xs, ys = _numbers(series.x), _numbers(series.y, positive=figure.log_y)
        n = min(len(xs), len(ys))
        centres = [x + (at - (len(figure.series) - 1) / 2) * width for x in xs[:n]]
        heights = [0.0 if math.isnan(y) else y for y in ys[:n]]
        axes.bar(
            centres,
            heights,
            width * 0.92,
            label=_label(series),
            color=COLOURS[at % len(COLOURS)],
            hatch=_HATCHES[at % len(_HATCHES)],
            edgecolor="white",
            linewidth=0,
        )
        if low_high := _interval(figure, series, n):
            axes.vlines(centres, *low_high, color="#000000", linewidth=0.8)
    if not figure.log_y:
        axes.axhline(0, color="#000000", linewidth=0.6)
    _scale_axes(axes, figure)


def _draw_heatmap(axes: "Axes", figure: SummaryFigure) -> None:
    """Rows from the bottom; what has no number stays white. Columns are equally wide, whatever they stand for."""
    from matplotlib.ticker import LogLocator

    width = max(map(len, figure.cells))
    rows = [_numbers(row) for row in figure.cells]
    grid = [[*row, *(math.nan,) * (width - len(row))] for row in rows]
    norm, scale = shades([value for row in grid for value in row if math.isfinite(value)])
    image = axes.imshow(
        grid, aspect="auto", interpolation="nearest", origin="lower", cmap="cividis", norm=norm
    )
    drawn = axes.get_figure()
    assert drawn is not None
    bar = drawn.colorbar(image, cax=axes.inset_axes((1.015, 0, 0.02, 1)), format="%g")
    if scale:
        bar.set_ticks(LogLocator(subs=(1.0, 2.0, 5.0)))
        bar.minorticks_off()
        axes.set_title(axes.get_title(loc="left") + scale)


def _label_ticks(axes: "Axes", figure: SummaryFigure) -> None:
    """Names at 0, 1, … where there are names, some left out where they would run into each other."""
    if figure.ticks:
        step = math.ceil(len(figure.ticks) / _MOST_TICKS)
        names = [drawable(name, _LONGEST) for name in figure.ticks[::step]]
        is_wide = sum(map(len, names)) > _TITLE * 0.7
        axes.set_xticks(
            range(0, len(figure.ticks), step),
            names,
            rotation=45 if is_wide else 0,
            ha="right" if is_wide else "center",
        )
        axes.tick_params(axis="x", which="minor", bottom=False)
    if figure.y_ticks:
        step = math.ceil(len(figure.y_ticks) / _MOST_TICKS)
        names = [drawable(name, _LONGEST) for name in figure.y_ticks[::step]]
        axes.set_yticks(range(0, len(figure.y_ticks), step), names)


_DRAW: dict[FigureKind, Callable[["Axes", SummaryFigure], None]] = {
    "lines": _draw_lines,
    "histogram": _draw_histogram,
    "scatter": _draw_scatter,
    "bars": _draw_bars,
    "heatmap": _draw_heatmap,
}

"""Lines of numbers drawn with characters, through plotext.

Series enter, a text of exact size leaves. Numbers are brought to 0…1 and axes labelled here: plotext's own log scale
and tick labels fail on small numbers. Where there are more points than columns, the least and the greatest of each
two columns are drawn.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import plotext
from rich.cells import cell_len
from rich.text import Text

from icltui.tui.cells import graduate
from icltui.tui.ramp import level

Series = tuple[str, list[float | None]]
"""A line's name, and its numbers by unit."""
Point = tuple[int, float]

LINE_COLOURS = (33, 208, 35, 170, 136, 67)
"""xterm-256 indices of middle lightness: they read on dark and on light."""
_CURSOR_COLOUR = 244
_SMALLEST = (20, 5)
"""Narrower or lower, axes leave no room for lines."""
_LABEL = 8
"""Columns of the numbers at the left: the frame must not jump when a number gets longer."""
_EMPTY = "No numbers to draw yet."


def render_plot(
    series: Sequence[Series],
    width: int,
    height: int,
    *,
    log: bool,
    cursor: int | None,
    title: str,
    colours: Sequence[int] = LINE_COLOURS,
) -> Text:
    """The lines of ``series`` over units, on ``width`` × ``height`` cells.

    Without ``colours`` each line is drawn with the last character of its name. On a log scale only positive
    numbers are drawn. ``cursor`` is the unit at which a vertical line stands.
    """
    heading = [Text(title), _legend(series, colours)]
    bounds = _bounds([values for _, values in series], log)
    if bounds is None:
        return _fitted([*heading[:1], Text(_EMPTY)], width, height)
    room = height - len(heading)
    if width < _SMALLEST[0] or room < _SMALLEST[1]:
        return _fitted([*heading, Text("Too small to draw.")], width, height)
    n_units = max(len(values) for _, values in series)
    _set_axes(width, room, n_units, bounds, log)
    if cursor is not None and 0 <= cursor < n_units:
        plotext.vline(cursor, _CURSOR_COLOUR)
    for place, (name, values) in enumerate(series):
        _draw(name, values, width, bounds, log, colours[place % len(colours)] if colours else None)
    lines = Text.from_ansi(plotext.build()).split("\n")
    return _fitted([*heading, *lines], width, height)


def _bounds(every: Sequence[list[float | None]], log: bool) -> tuple[float, float] | None:
    numbers = [v for values in every for v in values if v is not None and math.isfinite(v)]
    numbers = [v for v in numbers if v > 0 or not log]
    return (min(numbers), max(numbers)) if numbers else None


def _legend(series: Sequence[Series], colours: Sequence[int]) -> Text:
    legend = Text()
    for place, (name, _) in enumerate(series):
        mark, style = ("━━", f"color({colours[place % len(colours)]})") if colours else (name[-1:] * 2, "")
        legend.append(mark, style).append(f" {name}  ")
    return legend


def _set_axes(width: int, height: int, n_units: int, bounds: tuple[float, float], log: bool) -> None:
    plotext.clear_figure()
    plotext.limitsize(False, False)  # else the size of some other terminal cuts it
    plotext.theme("clear")
    plotext.plotsize(width, height)
    low, high = bounds
    plotext.ylim(0.0, 1.0)
    fractions = (0.5,) if high <= low else _fractions(height)
    texts = graduate([_at(fraction, low, high, log) for fraction in fractions])
    plotext.yticks(list(fractions), [text.rjust(_LABEL) for text in texts])
    units = _ticks(n_units, max(2, width // 12))
    plotext.xlim(0, max(1, n_units - 1))
    plotext.xticks(units, [str(unit) for unit in units])


def _fractions(height: int) -> tuple[float, ...]:
    n = 5 if height >= 12 else 3
    return tuple(step / (n - 1) for step in range(n))


def _at(fraction: float, low: float, high: float, log: bool) -> float:
    if log:
        return math.exp(math.log(low) + fraction * (math.log(high) - math.log(low)))
    return low * (1 - fraction) + high * fraction  # high − low may overflow


def _ticks(n_units: int, n_most: int) -> list[int]:
    steps = (step * 10**power for power in range(7) for step in (1, 2, 5))
    step = next(step for step in steps if n_units / step <= n_most)
    return list(range(0, n_units, step))


def _draw(
    name: str,
    values: list[float | None],
    width: int,
    bounds: tuple[float, float],
    log: bool,
    colour: int | None,
) -> None:
    levels = [
        None if log and value is not None and value <= 0 else level(value, *bounds, log) for value in values
    ]
    for run in _runs(levels):
        points = thinned(run, max(1, len(run) * width // (2 * len(values))))
        x, y = [unit for unit, _ in points], [fraction for _, fraction in points]
        plotext.plot(x, y, color=colour, marker="braille" if colour is not None else name[-1:])


def _runs(levels: Sequence[float | None]) -> Iterator[list[Point]]:
    """The stretches without a gap: no line is drawn across what is not known."""
    for is_known, run in groupby(enumerate(levels), key=lambda item: item[1] is not None):
        if is_known:
            yield [(unit, fraction) for unit, fraction in run if fraction is not None]


def thinned(points: list[Point], n_bins: int) -> list[Point]:
    """At most two points per bin: the least and the greatest, in their order, so that no peak is lost."""
    if len(points) <= 2 * n_bins:
        return points
    kept: list[Point] = []
    for place in range(n_bins):
        bin_ = points[place * len(points) // n_bins : (place + 1) * len(points) // n_bins]
        kept += sorted({min(bin_, key=lambda point: point[1]), max(bin_, key=lambda point: point[1])})
    return kept


def _fitted(lines: Sequence[Text], width: int, height: int) -> Text:
    """``lines`` cut and padded to the size."""
    if width < 1:
        return Text()
    fitted = [line.copy() for line in lines[:height]]
    for line in fitted:
        line.truncate(width, overflow="ellipsis")
        line.pad_right(max(0, width - cell_len(line.plain)))
    return Text("\n").join(fitted)

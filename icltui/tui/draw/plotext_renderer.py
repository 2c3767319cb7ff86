"""Line plots as text, drawn by plotext.

This module scales numbers to 0…1 and labels the axes, since plotext's log scale and tick labels fail on small numbers.
Where there are more points than columns, it draws the least and the greatest of each two columns. Each line carries a
mark, since colour alone may not show.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from icltui.tui.draw.colormap import level
from icltui.tui.draw.safe_text import graduate, number

Point = tuple[int, float]

LINE_COLOURS = (33, 208, 35, 170, 136, 67)
"""xterm-256 indices of middle lightness: they read on dark and on light."""
OTHER = "×"
"""The marker of another run's points."""
FLAG = "▾"
_CURSOR_COLOUR, _OTHER_COLOUR = 244, 244
_SMALLEST = (20, 5)
"""Least columns and lines: with fewer, axes leave no room for lines."""
_LABEL = 8
"""Columns of the y axis's numbers, fixed so that the frame does not move when a number gets longer."""
_NUMBER = 8
_NO_NUMBERS = "No numbers to draw yet."


class Series(NamedTuple):
    """One line."""

    name: str
    values: list[float | None]
    """From the left to the right."""
    mark: str
    """One character, shown once on the line, or drawing it where there are no colours; OTHER draws points alone."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot to draw."""

    title: str
    series: Sequence[Series] = ()
    log: bool = False
    """Whether the scale is logarithmic: then only positive numbers are drawn."""
    cursor: int | None = None
    """The position of a vertical line, whose numbers the legend shows."""
    place: str = ""
    """What the cursor is on, at the beginning of the legend."""
    bounds: tuple[float, float] | None = None
    """The ends of a linear scale; by default those of the numbers."""
    x_names: Sequence[str] = ()
    """Labels of the x axis from left to right; by default the positions."""
    flags: Sequence[int] | None = None
    """Positions that get a mark above the frame; None: there is no line for them."""
    below: Sequence[Text] = ()
    """Lines below the drawing."""
    empty: str = _NO_NUMBERS
    """The text where there is nothing to draw."""


def render_plot(figure: Figure, width: int, height: int, colours: Sequence[int] = LINE_COLOURS) -> Text:
    """``figure`` on ``width`` × ``height`` cells; without ``colours`` each line is drawn with its mark."""
    title = Text(figure.title)
    bounds = _bounds(figure)
    if bounds is None:
        return fitted([title, Text(figure.empty)], width, height)
    heading = [title, *_legend(figure, colours, width)]
    n_places = max(len(line.values) for line in figure.series)
    flags = [] if figure.flags is None else [_flag_line(figure.flags, n_places, width)]
    room = height - len(heading) - len(flags) - len(figure.below)
    if width < _SMALLEST[0] or room < _SMALLEST[1]:
        return fitted([*heading, Text("Too small to draw.")], width, height)
    import plotext

    _set_axes(figure, width, room, n_places, bounds)
    if figure.cursor is not None and 0 <= figure.cursor < n_places:
        plotext.vline(figure.cursor, _CURSOR_COLOUR)
    for place, line in enumerate(figure.series):
        colour = colours[place % len(colours)] if colours else None
        _draw(line, place, len(figure.series), width, bounds, figure.log, colour)
    lines = Text.from_ansi(plotext.build()).split("\n")
    return fitted([*heading, *flags, *lines, *figure.below], width, height)


def _bounds(figure: Figure) -> tuple[float, float] | None:
    numbers = [v for line in figure.series for v in line.values if v is not None and math.isfinite(v)]
    numbers = [v for v in numbers if v > 0 or not figure.log]
    if not numbers:
        return None
    return figure.bounds if figure.bounds and not figure.log else (min(numbers), max(numbers))


def _legend(figure: Figure, colours: Sequence[int], width: int) -> list[Text]:
    """What the cursor is on, then the mark, name and number of each line, on as many lines as they need."""
    items = [Text(figure.place)] if figure.place else []
    for place, line in enumerate(figure.series):
        items.append(
            Text().append_text(_key(line, place, colours)).append(f" {line.name}{_value_at(line, figure)}")
        )
    legend = [Text()]
    for item in items:
        if legend[-1] and cell_len(legend[-1].plain) + 2 + cell_len(item.plain) > width:
            legend.append(Text())
        legend[-1].append("  " if legend[-1] else "").append_text(item)
    return legend


def _value_at(line: Series, figure: Figure) -> str:
    """The line's number at the cursor, if there is one."""
    at = figure.cursor
    value = line.values[at] if at is not None and 0 <= at < len(line.values) else None
    return "" if value is None else f" {number(value, _NUMBER).strip()}"


def _key(line: Series, place: int, colours: Sequence[int]) -> Text:
    if line.mark == OTHER:
        return Text(OTHER * 2, f"color({_OTHER_COLOUR})" if colours else "")
    if not colours:
        return Text(line.mark * 2)
    return Text(f"━{line.mark}", f"color({colours[place % len(colours)]})")


def _flag_line(flags: Sequence[int], n_places: int, width: int) -> Text:
    """A mark above the column of each of these positions."""
    cells = [" "] * max(0, width - _LABEL - 2)  # between the two sides of the frame
    for flag in flags:
        column = round(flag / max(1, n_places - 1) * (len(cells) - 1))
        if 0 <= column < len(cells):
            cells[column] = FLAG
    return Text("flips".rjust(_LABEL) + " " + "".join(cells))


def _set_axes(figure: Figure, width: int, height: int, n_places: int, bounds: tuple[float, float]) -> None:
    import plotext  # in here: the first frame does without, and begins the sooner

    plotext.clear_figure()
    plotext.limitsize(False, False)  # else the size of some other terminal cuts it
    plotext.theme("clear")
    plotext.plotsize(width, height)
    low, high = bounds
    plotext.ylim(0.0, 1.0)
    fractions = (0.5,) if high <= low else _fractions(height)
    texts = graduate([_at(fraction, low, high, figure.log) for fraction in fractions])
    plotext.yticks(list(fractions), [text.rjust(_LABEL) for text in texts])
    places = _ticks(n_places, max(2, width // 12))
    plotext.xlim(0, max(1, n_places - 1))
    plotext.xticks(places, [figure.x_names[at] if figure.x_names else str(at) for at in places])


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
    line: Series,
    place: int,
    n_lines: int,
    width: int,
    bounds: tuple[float, float],
    log: bool,
    colour: int | None,
) -> None:
    """Draw one line without its gaps, and its mark on it, apart from the marks of others."""
    import plotext

    values = line.values
    levels = [
        None if log and value is not None and value <= 0 else level(value, *bounds, log) for value in values
    ]
    for run in _runs(levels):
        points = thinned(run, max(1, len(run) * width // (2 * len(values))))
        x, y = [unit for unit, _ in points], [fraction for _, fraction in points]
        if line.mark == OTHER:
            plotext.scatter(x, y, color=_OTHER_COLOUR if colour is not None else None, marker=OTHER)
        else:
            plotext.plot(x, y, color=colour, marker="braille" if colour is not None else line.mark)
    known = [point for point in enumerate(levels) if point[1] is not None]
    if known and colour is not None and line.mark != OTHER:
        wanted = (place + 1) / (n_lines + 1) * (len(values) - 1)
        at, fraction = min(known, key=lambda point: abs(point[0] - wanted))
        plotext.text(line.mark, at, fraction, color=colour, style="bold")


def _runs(levels: Sequence[float | None]) -> Iterator[list[Point]]:
    """The stretches without a gap: no line is drawn across unknown numbers."""
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


def fitted(lines: Sequence[Text], width: int, height: int) -> Text:
    """``lines`` cut and padded to the size."""
    if width < 1:
        return Text()
    fitted = [line.copy() for line in lines[:height]]
    for line in fitted:
        line.truncate(width, overflow="ellipsis")
        line.pad_right(max(0, width - cell_len(line.plain)))
    return Text("\n").join(fitted)

"""The lines of a plot on its cells, the line in focus last and bright; and the cursor's column over them."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from icltui.tui.draw.braille_canvas import NOBODY, BrailleCanvas, Point
from icltui.tui.draw.plot_figure import Figure, Scale, Series

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_CALM, _BRIGHT, _BAR = "·", "o", "#"
"""What lines are made of where there are no colours."""
RULE = "│"


@dataclass(frozen=True)
class PlotInk:
    """The styles of a plot."""

    base: Style
    muted: Style
    strong: Style
    focus: Style
    """The one accent."""
    depth: Callable[[float], Style]
    """The ramp, from 0 to 1, as a foreground."""
    glyphs: bool
    """Whether characters say what colours would."""

    def of(self, figure: Figure, at: int) -> Style:
        """The style of one of the figure's lines."""
        return self.focus if at == figure.focus else self.depth(figure.series[at].depth)


class PlotArea:
    """The cells on which the lines of ``figure`` are drawn."""

    def __init__(self, figure: Figure, scale: Scale, size: tuple[int, int], ink: PlotInk) -> None:
        self.figure, self.scale, self._ink = figure, scale, ink
        self.width, self.height = size
        self.n = max(figure.n_positions, 1)
        self._has_bars = any(line.kind == "bars" for line in figure.series)
        self._canvas = BrailleCanvas(*size)
        last = figure.focus if 0 <= figure.focus < len(figure.series) else None
        for at in [
            *(at for at in range(len(figure.series)) if at != last),
            *([] if last is None else [last]),
        ]:
            self._draw(figure.series[at], at)
        self._rows = [self._row(row) for row in range(self.height)]

    # Where things are.

    def column(self, at: int) -> int:
        """The column of cells in the middle of a position's room, or of its bar."""
        if self._has_bars:
            first, end = self._room(at)
            return (first + end - 1) // 2
        return (2 * at + 1) * self.width // (2 * self.n)

    def position(self, column: int) -> int:
        """The position whose room a column is in."""
        return max(0, min(column * self.n // max(self.width, 1), self.n - 1))

    def row_of(self, value: float | None) -> int | None:
        """The line of cells of a number, from the top."""
        fraction = self.scale.fraction(value)
        return None if fraction is None else self._dot(fraction) >> 2

    def _dot(self, fraction: float) -> int:
        return round((1 - fraction) * (4 * self.height - 1))

    def _points(self, values: Sequence[float | None]) -> Iterator[list[Point]]:
        """The stretches without a gap: no line is drawn across unknown numbers."""
        room, n = 2 * self.width, self.n
        for is_known, run in groupby(enumerate(values), key=lambda item: self._is_drawn(item[1])):
            if is_known:
                known = [(at, value) for at, value in run if value is not None]
                n_bins = max(1, len(known) * room // n)
                kept = thinned(known, n_bins)
                yield [
                    ((2 * at + 1) * room // (2 * n), self._dot(self._fraction(value))) for at, value in kept
                ]

    def _is_drawn(self, value: float | None) -> bool:
        return value is not None and math.isfinite(value) and (value > 0 or not self.scale.log)

    def _fraction(self, value: float) -> float:
        return self.scale.fraction(value) or 0.0

    # What is drawn.

    def _draw(self, line: Series, owner: int) -> None:
        if line.kind == "bars":
            return self._bars(line.values, owner)
        if line.kind == "dots":
            return self._beside(line.values, owner)
        if line.x:
            return self._scatter(line, owner)
        for points in self._points(line.values):
            if line.kind == "line":
                self._canvas.draw(points, owner)
            else:
                for x, y in points:
                    self._canvas.put(y >> 2, x >> 1, line.mark, owner)
        return None

    def _scatter(self, line: Series, owner: int) -> None:
        found = ((x, self.scale.fraction(value)) for x, value in zip(line.x, line.values, strict=True))
        dots = [(round(x * (2 * self.width - 1)), self._dot(f)) for x, f in found if f is not None]
        if line.kind == "cloud":
            return self._canvas.dot(dots, owner)
        for x, y in dots:
            self._canvas.put(y >> 2, x >> 1, line.mark, owner)
        return None

    def _room(self, at: int) -> tuple[int, int]:
        """The columns of cells of a position's bar; the last one is left free where there are several."""
        first, room = at * self.width // self.n, self.width // self.n
        return first, first + max(1, room - (room > 1))

    def _bars(self, values: Sequence[float | None], owner: int) -> None:
        zero = self.scale.fraction(0.0) or 0.0
        best: dict[int, float] = {}
        for at, value in enumerate(values):
            if (fraction := self.scale.fraction(value)) is not None:
                for column in range(*self._room(at)):
                    old = best.get(column, zero)
                    best[column] = max(old, fraction, key=lambda each: abs(each - zero))
        for column, fraction in best.items():
            if zero == 0.0:
                self._pile(column, fraction, owner)
            else:
                ends = sorted((self._dot(zero), self._dot(fraction)))
                dots = range(ends[0], ends[1] + 1)
                self._canvas.dot(((2 * column + side, y) for y in dots for side in (0, 1)), owner)

    def _pile(self, column: int, fraction: float, owner: int) -> None:
        """A bar from the bottom in eighths of a cell; a known number is never without one."""
        eighths = max(1, round(fraction * self.height * 8))
        for row in range(-(-eighths // 8)):
            part = _EIGHTHS[min(8, eighths - 8 * row)]
            self._canvas.put(self.height - 1 - row, column, _BAR if self._ink.glyphs else part, owner)

    def _beside(self, values: Sequence[float | None], owner: int) -> None:
        """Dots right of the bars, where there is room."""
        if self.width < 2 * self.n:
            return
        found = ((self._room(at)[1], self.scale.fraction(value)) for at, value in enumerate(values))
        self._canvas.dot(((2 * x, self._dot(f)) for x, f in found if f is not None and x < self.width), owner)

    def _row(self, row: int) -> tuple[str, list[Segment]]:
        text, owners = self._canvas.row(row)
        if self._ink.glyphs:
            text = "".join(self._plain(*each) for each in zip(text, owners, strict=True))
        segments, at = [], 0
        for owner, run in groupby(owners):
            n = len(list(run))
            style = self._ink.base if owner == NOBODY else self._ink.of(self.figure, owner)
            segments.append(Segment(text[at : at + n], style))
            at += n
        return text, segments

    def _plain(self, character: str, owner: int) -> str:
        if not "⠀" < character <= "⣿":
            return character
        return _BRIGHT if owner == self.figure.focus else _CALM

    def line(self, row: int, cursor: int | None) -> Strip:
        """A line of cells, with the cursor's column."""
        text, segments = self._rows[row]
        strip = Strip(segments, self.width)
        if cursor is None or not 0 <= cursor < self.n or not self.width:
            return strip
        column, figure = self.column(cursor), self.figure
        focus = figure.series[figure.focus] if 0 <= figure.focus < len(figure.series) else None
        value = focus.values[cursor] if focus and cursor < len(focus.values) else None
        mark, style = (text[column], None) if text[column] != " " else (RULE, self._ink.muted)
        if focus and focus.kind in ("line", "points") and self.row_of(value) == row:
            mark, style = ("@" if self._ink.glyphs else "●"), self._ink.focus
        if style is None:
            return strip
        return Strip.join([strip.crop(0, column), Strip([Segment(mark, style)], 1), strip.crop(column + 1)])


def thinned(points: list[tuple[int, float]], n_bins: int) -> list[tuple[int, float]]:
    """At most two points per bin: the least and the greatest, in their order, so that no peak is lost."""
    if len(points) <= 2 * n_bins:
        return points
    kept: list[tuple[int, float]] = []
    for place in range(n_bins):
        bin_ = points[place * len(points) // n_bins : (place + 1) * len(points) // n_bins]
        kept += sorted({min(bin_, key=lambda point: point[1]), max(bin_, key=lambda point: point[1])})
    return kept

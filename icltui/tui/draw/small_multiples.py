"""Small multiples: a small panel for each line, side by side on common axes, as many as fit (Tufte's term).

The panel in focus is bright, and the page of panels is the one that it is on. Panels may have scales of their own,
where they show different measures; their captions then say from where to where.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.geometry import Offset, Region
from textual.strip import Strip

from icltui.tui.draw.axis_ticks import linear_ticks, log_ticks, tick_text
from icltui.tui.draw.plot_area import PlotArea, PlotInk
from icltui.tui.draw.plot_figure import Figure, Scale, Series
from icltui.tui.draw.safe_text import number
from icltui.tui.draw.x_axis import XAxis

_LEAST = (22, 4)
"""Least columns of a panel, and least lines: its caption and its cells."""
_GUTTER = 7
_HEAD, _FOOT = 2, 2


class MultiplesDrawing:
    """A panel for each of ``figures``, which have one line each, on ``width`` × ``height`` cells.

    Args:
        figures: equally long.
        focus: which of them is bright.
        size: columns and lines.
        ink: the styles.
        is_common: whether all panels have one scale.
    """

    def __init__(
        self, figures: Sequence[Figure], focus: int, size: tuple[int, int], ink: PlotInk, is_common: bool
    ) -> None:
        self.figures, self.focus, self.size, self.ink = figures, focus, size, ink
        self._is_common = is_common
        scales = [Scale.of(figure) for figure in figures]
        if is_common and figures:
            every = [line for figure in figures for line in figure.series]
            scales = [Scale.of(replace(figures[0], series=every))] * len(figures)
        self._scales = scales
        room = size[1] - _HEAD - _FOOT
        self.is_drawn = bool(any(scales) and size[0] >= _GUTTER + _LEAST[0] and room >= _LEAST[1])
        self.n_columns, self.n_rows = self._grid(size[0] - _GUTTER, room) if self.is_drawn else (1, 1)
        self._width = (size[0] - _GUTTER) // self.n_columns
        self._height = max(room // self.n_rows, 1)
        page = self.n_columns * self.n_rows
        self.first = focus // page * page
        """The first panel in sight."""

    @property
    def figure(self) -> Figure:
        """The panel in focus."""
        return self.figures[self.focus]

    def _grid(self, width: int, height: int) -> tuple[int, int]:
        """Columns and rows of panels: all of them if there is room, as large and as near to 5:1 as they can be."""
        most_columns, most_rows = width // _LEAST[0], height // _LEAST[1]
        n = len(self.figures)
        if n >= most_columns * most_rows:
            return most_columns, most_rows
        grids = [(columns, -(-n // columns)) for columns in range(1, most_columns + 1)]
        fitting = [grid for grid in grids if grid[1] <= most_rows]
        return min(fitting, key=lambda grid: abs((width / grid[0]) / (height / grid[1]) - 5.0))

    @cached_property
    def _areas(self) -> dict[int, PlotArea]:
        """The panels in sight that have numbers."""
        last = min(self.first + self.n_columns * self.n_rows, len(self.figures))
        size = (max(1, self._width - 2), max(1, self._height - 1))
        areas = {}
        for at in range(self.first, last):
            if scale := self._scales[at]:
                figure = replace(self.figures[at], focus=0 if at == self.focus else -1)
                areas[at] = PlotArea(figure, scale, size, self.ink)
        return areas

    @property
    def n(self) -> int:
        """Positions of every panel."""
        return max((figure.n_positions for figure in self.figures), default=0)

    # Where things are.

    def _corner(self, at: int) -> tuple[int, int]:
        row, column = divmod(at - self.first, self.n_columns)
        return _GUTTER + column * self._width, _HEAD + row * self._height

    def panel_at(self, offset: Offset) -> int | None:
        """The panel that a cell is in."""
        column, row = (offset.x - _GUTTER) // self._width, (offset.y - _HEAD) // self._height
        at = self.first + row * self.n_columns + column
        is_in = 0 <= column < self.n_columns and 0 <= row < self.n_rows and at < len(self.figures)
        return at if self.is_drawn and is_in else None

    def position_at(self, offset: Offset) -> int | None:
        """The position whose room a cell is in."""
        at = self.panel_at(offset)
        if at is None or at not in self._areas:
            return None
        return self._areas[at].position(offset.x - self._corner(at)[0] - 1)

    def line_at(self, offset: Offset) -> int | None:
        """The panel that a cell is in, by its line."""
        return self.panel_at(offset)

    def region_of(self, position: int) -> Region:
        """The column of cells of a position in the panel in focus."""
        if not self.is_drawn or self.focus not in self._areas:
            return Region()
        area, (x, y) = self._areas[self.focus], self._corner(self.focus)
        return Region(x + 1 + area.column(position), y + 1, 1, area.height)

    def moved(self, before: int | None, after: int | None) -> list[Region]:  # noqa: ARG002
        """What differs with the cursor at another position: something in every line."""
        return [Region(0, 0, *self.size)]

    # What is drawn.

    def line(self, y: int, cursor: int | None) -> Strip:
        """One line, the cursor at this position in every panel."""
        row, inner = divmod(y - _HEAD, self._height)
        if y == 0:
            segments = self._title()
        elif not self.is_drawn:
            words = "Too small to draw." if any(self._scales) else Figure.empty
            segments = [Segment(words, self.ink.muted)] if y == 1 else []
        elif y == 1:
            segments = self._readout(cursor)
        elif row >= self.n_rows:
            segments = self._foot(cursor) if y == _HEAD + self.n_rows * self._height else []
        else:
            segments = self._panels(row, inner, cursor)
        return Strip(segments).adjust_cell_length(self.size[0], self.ink.base)

    def _title(self) -> list[Segment]:
        figure = self.figure if self.figures else Figure(y_title="")
        scale = ", log scale" if figure.log else ""
        what = (
            "a panel for each layer" if self._is_common else "a panel for each measure, each on its own scale"
        )
        page = self.n_columns * self.n_rows
        n = len(self.figures)
        part = f", {self.first + 1} to {min(self.first + page, n)} of {n}" if n > page else ""
        title = f"{figure.y_title}{scale}" if self._is_common else figure.series[0].name
        return [Segment(title, self.ink.strong), Segment(f"  {what}{part}", self.ink.muted)]

    def _readout(self, cursor: int | None) -> list[Segment]:
        place = self.figure.place(cursor) if cursor is not None and 0 <= cursor < self.n else ""
        return [
            Segment(place, self.ink.strong),
            Segment(f"  ━ {self._caption(self.focus, cursor)}", self.ink.focus),
        ]

    def _line(self, at: int) -> Series:
        return self.figures[at].series[0]

    def _caption(self, at: int, cursor: int | None) -> str:
        line = self._line(at)
        value = line.values[cursor] if cursor is not None and 0 <= cursor < len(line.values) else None
        return f"{line.name} {number(value, 8).strip()}"

    def _panels(self, row: int, inner: int, cursor: int | None) -> list[Segment]:
        first = self.first + row * self.n_columns
        segments = [Segment(self._tick(first, inner).rjust(_GUTTER - 1) + " ", self.ink.muted)]
        for at in range(first, min(first + self.n_columns, len(self.figures))):
            segments += self._captioned(at, cursor) if inner == 0 else self._cells(at, inner - 1, cursor)
        return segments

    def _captioned(self, at: int, cursor: int | None) -> list[Segment]:
        style = self.ink.focus if at == self.focus else self.ink.depth(self._line(at).depth)
        name, scale = self._caption(at, cursor), self._scales[at]
        ends = f"{number(scale.low, 7).strip()}–{number(scale.high, 7).strip()}" if scale else "no numbers"
        room = self._width - 2
        if not self._is_common and cell_len(name) + 2 + len(ends) <= room:
            rest = set_cell_size("  " + ends, self._width - cell_len(name) - 1)
            return [Segment(" " + name, style), Segment(rest, self.ink.muted)]
        return [Segment(set_cell_size(" " + set_cell_size(name, room), self._width), style)]

    def _cells(self, at: int, row: int, cursor: int | None) -> list[Segment]:
        if at not in self._areas:
            return [Segment("│".ljust(self._width), self.ink.muted)]
        return [
            Segment("│", self.ink.focus if at == self.focus else self.ink.muted),
            *self._areas[at].line(row, cursor),
            Segment(" " * (self._width - 1 - self._areas[at].width), self.ink.base),
        ]

    def _tick(self, first: int, inner: int) -> str:
        """The common scale's numbers, left of the first panel."""
        scale = self._scales[first] if self._is_common and first < len(self._scales) else None
        if inner == 0 or scale is None:
            return ""
        return self._ticks.get(inner - 1, "")

    @cached_property
    def _ticks(self) -> dict[int, str]:
        scale, height = self._scales[self.first], max(1, self._height - 1)
        if scale is None:
            return {}
        most = max(2, height // 2)
        values = (
            log_ticks(scale.low, scale.high, most) if scale.log else linear_ticks(scale.low, scale.high, most)
        )
        rows = ((scale.fraction(value), tick_text(value)) for value in values)
        return {round((1 - f) * (4 * height - 1)) >> 2: text for f, text in rows if f is not None}

    def _foot(self, cursor: int | None) -> list[Segment]:
        """The positions below each column of panels."""
        area = next(iter(self._areas.values()), None)
        if area is None:
            return []
        figure = self.figure
        line = [Segment(figure.x_title.rjust(_GUTTER - 1) + " ", self.ink.muted)]
        for _ in range(min(self.n_columns, len(self.figures))):
            at = 0
            line.append(Segment(" ", self.ink.base))
            for start, text, is_cursor in XAxis(figure, area).names(cursor):
                style = self.ink.focus if is_cursor else self.ink.muted
                line += [Segment(" " * (start - at), self.ink.base), Segment(text, style)]
                at = start + cell_len(text)
            line.append(Segment(" " * (self._width - 1 - at), self.ink.base))
        return line

"""A plot as lines of a terminal: title, read-out, y axis, the lines and their names, x axis, and what is below.

The lines are drawn once; the cursor is laid over them line by line, so that a move costs two columns, the read-out and
the labels of the x axis.
"""

from collections.abc import Sequence
from functools import cached_property

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Offset, Region
from textual.strip import Strip

from icltui.tui.draw.axis_ticks import linear_ticks, log_ticks, tick_text
from icltui.tui.draw.line_labels import LineEnd, labels_width, line_labels
from icltui.tui.draw.plot_area import PlotArea, PlotInk
from icltui.tui.draw.plot_figure import Figure, Scale
from icltui.tui.draw.safe_text import number
from icltui.tui.draw.x_axis import Placed, XAxis

FLAG = "▾"
_NUMBER = 8
_SMALLEST = (24, 4)
"""Least columns of a plot with its axis, and least lines of cells."""
_FEW = 8
"""Lines that the read-out lists; of more it tells the most and the least."""
Piece = tuple[str, Style]


class PlotDrawing:
    """``figure`` on ``width`` × ``height`` cells."""

    def __init__(self, figure: Figure, size: tuple[int, int], ink: PlotInk) -> None:
        self.figure, self.size, self.ink = figure, size, ink
        self.scale = Scale.of(figure)
        below = figure.below(0) if self.scale else ()
        has_flags, has_texts = figure.flags is not None, bool(figure.x_texts)
        height = size[1] - 4 - has_flags - has_texts - len(below)
        self._n_below = len(below) if height >= _SMALLEST[1] else 0
        height += len(below) - self._n_below
        self._has_texts = has_texts and height >= _SMALLEST[1]
        height += has_texts - self._has_texts
        self.is_drawn = self.scale is not None and size[0] >= _SMALLEST[0] and height >= _SMALLEST[1]
        self.top, self._height = 2 + has_flags, height

    # Where things are.

    @cached_property
    def _ticks(self) -> dict[int, str]:
        """The numbers at the y axis by line of cells."""
        assert self.scale is not None
        scale, most = self.scale, max(2, self._height // (2 if self.scale.log else 3) + 1)
        values = (
            log_ticks(scale.low, scale.high, most) if scale.log else linear_ticks(scale.low, scale.high, most)
        )
        top = 4 * self._height - 1
        rows = ((scale.fraction(value), tick_text(value)) for value in values)
        return {round((1 - f) * top) >> 2: text for f, text in rows if f is not None}

    @cached_property
    def gutter(self) -> int:
        """Columns of the y axis's numbers, the rule not counted."""
        titles = [self.figure.x_title, *(["text"] if self._has_texts else [])]
        return min(max(6, *map(cell_len, [*self._ticks.values(), *titles])), self.size[0] // 3)

    @cached_property
    def _labels_width(self) -> int:
        return labels_width([line.name for line in self.figure.series], self.size[0])

    @cached_property
    def area(self) -> PlotArea:
        """The lines."""
        assert self.scale is not None
        width = self.size[0] - self.gutter - 1 - self._labels_width - bool(self._labels_width)
        return PlotArea(self.figure, self.scale, (max(1, width), self._height), self.ink)

    @cached_property
    def axis(self) -> XAxis:
        """The x axis."""
        return XAxis(self.figure, self.area)

    def position_at(self, offset: Offset) -> int | None:
        """The position whose room a cell is in."""
        x, y = offset.x - self.gutter - 1, offset.y - self.top
        if not self.is_drawn or not (0 <= x < self.area.width and 0 <= y <= self._height + 2):
            return None
        return self.area.position(x)

    def region_of(self, at: int) -> Region:
        """The column of cells of a position."""
        if not self.is_drawn:
            return Region()
        return Region(self.gutter + 1 + self.area.column(at), self.top, 1, self._height)

    def line_at(self, offset: Offset) -> int | None:
        """The line that is nearest to a cell, of those with a number there."""
        at, row = self.position_at(offset), offset.y - self.top
        if at is None or not 0 <= row < self._height:
            return None
        rows = [(self.area.row_of(self._value(line, at)), line) for line in range(len(self.figure.series))]
        found = [(abs(of - row), line != self.figure.focus, line) for of, line in rows if of is not None]
        return min(found)[2] if found else None

    def moved(self, before: int | None, after: int | None) -> list[Region]:
        """What differs with the cursor at another position."""
        if not self.is_drawn:
            return [Region(0, 0, *self.size)]
        foot = self.top + self._height + 1
        columns = [self.region_of(at) for at in (before, after) if at is not None and 0 <= at < self.area.n]
        return [Region(0, 1, self.size[0], 1), *columns, Region(0, foot, self.size[0], self.size[1] - foot)]

    # What is drawn.

    def line(self, y: int, cursor: int | None) -> Strip:
        """One line, the cursor at this position."""
        pieces: Sequence[Piece | Segment]
        row = y - self.top
        if y == 0:
            pieces = self._title()
        elif not self.is_drawn:
            words = self.figure.empty if self.scale is None else "Too small to draw."
            pieces = [(words, self.ink.muted)] if y == 1 else []
        elif y == 1:
            pieces = self._readout(cursor)
        elif row < 0:
            pieces = self._flags()
        elif row < self._height:
            return Strip.join(
                [*self._left(row), self.area.line(row, cursor), *self._names(row)]
            ).adjust_cell_length(self.size[0], self.ink.base)
        else:
            pieces = self._foot(row - self._height, cursor)
        return self._strip(pieces)

    def _strip(self, pieces: Sequence[Piece | Segment]) -> Strip:
        """The pieces on the whole line, cut with an ellipsis."""
        segments = [each if isinstance(each, Segment) else Segment(*each) for each in pieces]
        strip, width = Strip(segments), self.size[0]
        if strip.cell_length > width > 0:
            strip = Strip.join([strip.crop(0, width - 1), Strip([Segment("…", self.ink.muted)])])
        return strip.adjust_cell_length(width, self.ink.base)

    def _title(self) -> list[Piece]:
        scale = ", log scale" if self.scale and self.scale.log else ""
        rest = f"  {self.figure.title}" if self.figure.title else ""
        return [(f"{self.figure.y_title}{scale}", self.ink.strong), (rest, self.ink.muted)]

    def _readout(self, cursor: int | None) -> list[Piece]:
        """Where the cursor is, and the numbers there: those of the line in focus first."""
        figure, ink = self.figure, self.ink
        known = cursor is not None and 0 <= cursor < self.area.n
        place = figure.place(cursor) if known and cursor is not None else ""
        order = [at for at, line in enumerate(figure.series) if line.name]
        order.sort(key=lambda at: (at != figure.focus, at))
        named = [(at, self._value(at, cursor)) for at in order]
        if len(order) > _FEW:
            return [(place, ink.strong), *self._item(*named[0]), *self._extremes(cursor)]
        pieces: list[Piece] = [(place, ink.strong)] if place else []
        used = cell_len(place)
        for left, (at, value) in zip(range(len(named) - 1, -1, -1), named, strict=True):
            item = self._item(at, value)
            size = sum(cell_len(text) for text, _ in item)
            if pieces and used + size + (4 if left else 0) > self.size[0]:
                return [*pieces, (f"  +{left + 1}", ink.muted)]
            pieces += item
            used += size
        return pieces

    def _item(self, at: int, value: float | None) -> list[Piece]:
        style = self.ink.of(self.figure, at)
        digits = "" if value is None else f" {number(value, _NUMBER).strip()}"
        mark = self.figure.series[at].mark if self.figure.series[at].kind == "points" else "━"
        return [(f"  {mark} ", style), (f"{self.figure.series[at].name}{digits}", style)]

    def _value(self, at: int, cursor: int | None) -> float | None:
        values = self.figure.series[at].values
        return values[cursor] if cursor is not None and 0 <= cursor < len(values) else None

    def _extremes(self, cursor: int | None) -> list[Piece]:
        """The lines with the most and the least at the cursor."""
        found = [
            (value, line.name)
            for at, line in enumerate(self.figure.series)
            if line.name and (value := self._value(at, cursor)) is not None
        ]
        if len(found) < 2:
            return []
        words = (
            f"  {word} {name} {number(value, _NUMBER).strip()}"
            for word, (value, name) in zip(("most", "least"), (max(found), min(found)), strict=True)
        )
        return [(f"  of {len(self.figure.series)}:{''.join(words)}", self.ink.muted)]

    def _flags(self) -> list[Piece]:
        cells = [" "] * self.area.width
        for flag in self.figure.flags or ():
            if 0 <= flag < self.area.n:
                cells[self.area.column(flag)] = FLAG
        return [("flips".rjust(self.gutter) + " ", self.ink.muted), ("".join(cells), self.ink.strong)]

    def _left(self, row: int) -> list[Strip]:
        text = self._ticks.get(row, "")
        rule = "┤" if row in self._ticks else "│"
        return [Strip([Segment(set_cell_size(text.rjust(self.gutter), self.gutter) + rule, self.ink.muted)])]

    @cached_property
    def _named(self) -> dict[int, list[Segment]]:
        """The names of the lines by line of cells."""
        ends = []
        for at, line in enumerate(self.figure.series):
            last = next((v for v in reversed(line.values) if self.area.row_of(v) is not None), None)
            if (
                line.name
                and (row := self.area.row_of(last)) is not None
                and (line.kind != "dots" or at == self.figure.focus)
            ):
                ends.append(LineEnd(line.name, at, row, line.layer))
        found = line_labels(ends, self.figure.focus, self._labels_width, self._height)
        return {
            row: [Segment(f" {label.text}", self.ink.of(self.figure, label.at)) for label in labels]
            for row, labels in found.items()
        }

    def _names(self, row: int) -> list[Strip]:
        return [Strip(self._named[row])] if row in self._named and self._labels_width else []

    def _foot(self, line: int, cursor: int | None) -> list[Piece]:
        muted = self.ink.muted
        if line == 0:
            return [(" " * self.gutter + "└" + self.axis.rule(), muted)]
        if line == 1:
            return [(self._x_title(self.figure.x_title), muted), *self._placed(self.axis.names(cursor))]
        if line == 2 and self._has_texts:
            return [(self._x_title("text"), muted), *self._placed(self.axis.texts(cursor))]
        below = self.figure.below(cursor or 0) if self._n_below else ()
        at = line - 2 - self._has_texts
        return [(below[at], muted)] if at < len(below) else []

    def _x_title(self, title: str) -> str:
        return set_cell_size(title.rjust(self.gutter), self.gutter) + " "

    def _placed(self, texts: Sequence[Placed]) -> list[Piece]:
        pieces: list[Piece] = []
        at = 0
        for start, text, is_cursor in texts:
            pieces += [
                (" " * (start - at), self.ink.base),
                (text, self.ink.focus if is_cursor else self.ink.muted),
            ]
            at = start + cell_len(text)
        return pieces


def plot_lines(
    figure: Figure, width: int, height: int, ink: PlotInk, cursor: int | None = None
) -> list[Strip]:
    """All lines of a plot, the cursor where the figure has it unless it is given."""
    drawing = PlotDrawing(figure, (width, height), ink)
    at = figure.mark if cursor is None else cursor
    return [drawing.line(y, at) for y in range(height)]

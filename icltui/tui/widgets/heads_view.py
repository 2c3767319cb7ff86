"""The tab of attention heads: a matrix in shades, its colorbar, what stands out, and the number at the crosshair."""

import textwrap
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from icltui.tui.draw.colormap import Ramp, glyph, level, ramp
from icltui.tui.draw.head_matrices import (
    HEAD_VIEWS,
    NOTHING,
    OF_LAYER,
    HeadView,
    Matrix,
    head_matrix,
    readout,
    scores_copy,
    split_copy,
)
from icltui.tui.draw.safe_text import graduate
from icltui.tui.widgets.bindings import key_binding
from icltui.values import AttentionHeads

_WIDEST = 4
_MARKS = ("", "+", "[]", "[ ]", "[  ]")
"""The crosshair, by the width of a cell."""
_CURSOR = Style(reverse=True, bold=True)


class HeadsView(Widget, can_focus=True):
    """The heads of one model on one prompt."""

    DEFAULT_CSS = """
    HeadsView { height: 1fr; & > .heads--muted { color: $text-muted; } & > .heads--strong { text-style: bold; } }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"heads--muted", "heads--strong"}
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("heads.left", "h,left", "move(0, -1)", "Left", "One column to the left"),
        key_binding("heads.right", "l,right", "move(0, 1)", "Right", "One column to the right"),
        key_binding("heads.down", "j,down", "move(1, 0)", "Down", "One row down"),
        key_binding("heads.up", "k,up", "move(-1, 0)", "Up", "One row up"),
        key_binding("heads.first", "g,home", "move(0, -1000000)", "First column", "To the first column"),
        key_binding("heads.last", "G,end", "move(0, 1000000)", "Last column", "To the last column"),
    ]

    view: reactive[HeadView] = reactive("induction")
    shown_layer: reactive[int] = reactive(0)
    row: reactive[int] = reactive(0)
    column: reactive[int] = reactive(0)

    class LayerChosen(Message):
        """The crosshair is at another layer."""

        def __init__(self, layer: int) -> None:
            super().__init__()
            self.layer = layer

    def __init__(self, *, glyphs: bool | None = None, id: str) -> None:
        super().__init__(id=id)
        self.heads: AttentionHeads | None = None
        self._glyphs_asked = glyphs
        self._matrix = Matrix("", (), (), "", "")
        self._of: tuple[object, ...] = (None, None, None)
        """What the matrix is of."""

    def show(self, heads: AttentionHeads | None) -> None:
        """Show these heads, the crosshair at the strongest induction head."""
        if heads is not self.heads:
            self.heads = heads
            if heads and heads.induction_heads and self.view not in OF_LAYER:
                first = heads.induction_heads[0]
                self.go_to(self.matrix.rows.index(str(first.layer)), first.head)
            self.refresh()

    @property
    def matrix(self) -> Matrix:
        """What is shown."""
        layer = self.shown_layer if self.view in OF_LAYER else None
        if self.heads is not None and (self.heads is not self._of[0] or (self.view, layer) != self._of[1:]):
            self._of = self.heads, self.view, layer
            self._matrix = head_matrix(self.heads, self.view, self.shown_layer)
        return self._matrix

    def next_view(self) -> None:
        """Show the next matrix; after the last comes the first."""
        before, head = self.view, self._head
        self.view = HEAD_VIEWS[(HEAD_VIEWS.index(before) + 1) % len(HEAD_VIEWS)]
        if (before in OF_LAYER) == (self.view in OF_LAYER):
            return
        if self.view in OF_LAYER:  # the head stays, in another direction
            self.go_to(head, 0)
        else:
            rows = self.matrix.rows
            self.go_to(rows.index(str(self.shown_layer)) if str(self.shown_layer) in rows else 0, head)

    @property
    def _head(self) -> int:
        return self.row if self.view in OF_LAYER else self.column

    def go_to(self, row: int, column: int) -> None:
        """Move the crosshair, as far as there are cells."""
        matrix = self.matrix
        self.row = max(0, min(row, len(matrix.rows) - 1))
        self.column = max(0, min(column, matrix.n_columns - 1))
        if self.view not in OF_LAYER and self.heads and matrix.rows:
            self.post_message(self.LayerChosen(int(matrix.rows[self.row])))

    def watch_shown_layer(self, layer: int) -> None:
        """Follow the layer that is shown everywhere."""
        rows = self.matrix.rows
        if self.view not in OF_LAYER and str(layer) in rows:
            self.row = rows.index(str(layer))

    def action_move(self, rows: int, columns: int) -> None:
        """Move the crosshair."""
        self.go_to(self.row + rows, self.column + columns)

    def copied(self) -> str:
        """Every score; where δ is shown, every head's and unit's part of it."""
        if self.heads is None:
            return ""
        return split_copy(self.heads, self.shown_layer) if self.view in OF_LAYER else scores_copy(self.heads)

    # Where the cells are.

    @property
    def _header(self) -> int:
        """Lines above the cells: what is shown, colorbar, what stands out, read-out, ticks; fewer in a low pane."""
        return min(4 + len(self._said), max(2, self.size.height - 3))

    @property
    def _said(self) -> list[str]:
        """What is said above the cells, wrapped."""
        width = max(self.size.width - 1, 1)
        return [part for line in self.matrix.lines for part in textwrap.wrap(line, width)]

    @property
    def _label(self) -> int:
        return max(map(len, self.matrix.rows), default=0) + 2

    @property
    def _cell_width(self) -> int:
        return max(1, min(_WIDEST, (self.size.width - self._label) // max(1, self.matrix.n_columns)))

    @property
    def _first_row(self) -> int:
        room = max(1, self.size.height - self._header)
        return max(0, min(self.row - room // 2, len(self.matrix.rows) - room))

    @property
    def _first_column(self) -> int:
        room = max(1, (self.size.width - self._label) // self._cell_width)
        return max(0, min(self.column - room // 2, self.matrix.n_columns - room))

    def on_click(self, event: Click) -> None:
        """Move the crosshair to the cell under the mouse."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.y >= self._header and offset.x >= self._label:
            column = self._first_column + (offset.x - self._label) // self._cell_width
            self.go_to(self._first_row + offset.y - self._header, column)

    # What is drawn.

    def render_line(self, y: int) -> Strip:
        """One line of the header, or one row of cells."""
        return Strip(self._segments(y)).adjust_cell_length(self.size.width, self.rich_style)

    def _segments(self, y: int) -> list[Segment]:
        base, muted = self.rich_style, self.get_component_rich_style("heads--muted")
        strong = self.get_component_rich_style("heads--strong")
        matrix = self.matrix
        if self.heads is None:
            lines = NOTHING.split("\n")
            return [Segment(f" {lines[y]}" if y < len(lines) else "", base)]
        if y >= self._header:
            return self._cells(y - self._header + self._first_row, base, muted)
        if not matrix.cells:
            return [Segment(f" {(matrix.title, '', matrix.empty)[y]}" if y < 3 else "", base)]
        readings = readout(self.heads, self.view, matrix, self.row, self.column)
        above = [
            [Segment(f" {matrix.title}", base)],
            [Segment(f" {readings}", strong)],
            self._colorbar(base, muted),
            *([Segment(f" {line}", base)] for line in self._said),
        ]
        return self._ticks(muted) if y == self._header - 1 else above[y] if y < len(above) else []

    def _bounds(self) -> tuple[float, float] | None:
        known = [value for row in self.matrix.cells for value in row if value is not None]
        return (min(known), max(known)) if known else None

    @property
    def _ramp(self) -> Ramp:
        return ramp(self.app, self._glyphs_asked)

    def _colorbar(self, base: Style, muted: Style) -> list[Segment]:
        if (bounds := self._bounds()) is None:
            return [Segment(" no numbers", muted)]
        low, high = graduate(bounds)
        words = f" {high}   rows: {self.matrix.row_title}s, columns: {self.matrix.column_title}s"
        return [Segment(f" {low} ", muted), *self._ramp.bar(base), Segment(words, muted)]

    def _ticks(self, muted: Style) -> list[Segment]:
        width, first = self._cell_width, self._first_column
        start = 1 if self.view in OF_LAYER else 0  # units count from 1, heads from 0
        step = next(n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10**6) if n * width >= 4)
        text = "".join(
            str(at + start).ljust(width * step)[: width * step]
            for at in range(first - first % step, self.matrix.n_columns, step)
        )
        return [Segment(" " * self._label + text[(first % step) * width :], muted)]

    def _cells(self, row: int, base: Style, muted: Style) -> list[Segment]:
        matrix = self.matrix
        if row >= len(matrix.rows):
            return []
        label = f"{matrix.rows[row]:>{self._label - 1}} "
        segments = [Segment(label, base + _CURSOR if row == self.row else muted)]
        bounds, width = self._bounds(), self._cell_width
        n = (self.size.width - self._label) // width
        for column in range(self._first_column, min(matrix.n_columns, self._first_column + n)):
            is_cursor = (row, column) == (self.row, self.column)
            value = matrix.at(row, column)
            fraction = None if bounds is None else level(value, *bounds, False)
            segments.append(self._cell(fraction, width, is_cursor, base))
        return segments

    def _cell(self, fraction: float | None, width: int, is_cursor: bool, base: Style) -> Segment:
        if fraction is None:
            return Segment("·".center(width), base + _CURSOR if is_cursor else base)
        if self._ramp.needs_glyphs:
            return Segment(glyph(fraction) * width, base + _CURSOR if is_cursor else base)
        return Segment(_MARKS[width] if is_cursor else " " * width, base + self._ramp.style(fraction))

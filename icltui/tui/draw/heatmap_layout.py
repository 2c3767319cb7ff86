"""The positions of the heatmap's cells: units from left to right, layers from top to bottom.

Cells fill the pane. A line of the terminal has two halves, so that many layers fit: two of them then share a line, the
upper half block's ink above its background. The header lines and the layer labels do not scroll.
"""

from dataclasses import dataclass
from functools import cached_property

_WIDEST, _TALLEST = 16, 6
"""Most columns of a unit, most lines of a layer."""
_NUMBER_WIDTH = 5
"""Columns that a number takes with the space after it."""


@dataclass(frozen=True)
class HeatmapLayout:
    """The layout of one heatmap, in cells of the terminal."""

    width: int
    height: int
    n_units: int
    layers: tuple[int, ...]
    has_halves: bool = True
    """Whether two layers may share a line, which takes colours."""

    @property
    def axis(self) -> int:
        """Lines of the units' texts above the cells; more in a high pane, unless layers need its lines."""
        is_full = 2 * (self.height - 5) < len(self.layers)
        return max(
            0, min(1 if is_full or self.height < 12 else 2 if self.height < 20 else 3, self.height - 4)
        )

    @property
    def header(self) -> int:
        """Lines above the cells: the colorbar, the read-out, the axis; fewer in a low pane."""
        return min(2 + self.axis, max(0, self.height - 2))

    @cached_property
    def label(self) -> int:
        """Columns left of the cells: the layer's number and a space."""
        return len(str(max(self.layers, default=0))) + 2

    @cached_property
    def span(self) -> int:
        """Columns of all units; a column is left to the scrollbar."""
        room, n = self.width - self.label - 1, self.n_units
        return n if room < 2 * n else min(room, _WIDEST * n)

    def left(self, unit: int) -> int:
        """The first column of a unit, counted from the first column of cells."""
        return unit * self.span // max(1, self.n_units)

    def width_of(self, unit: int) -> int:
        """Columns of a unit; neighbours differ by one at most."""
        return self.left(unit + 1) - self.left(unit)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Columns of each unit."""
        return tuple(map(self.width_of, range(self.n_units)))

    @property
    def has_numbers(self) -> bool:
        """Whether numbers fit into the cells, into all of them."""
        return self.span // max(1, self.n_units) >= _NUMBER_WIDTH

    @cached_property
    def halves(self) -> int:
        """Half lines of one layer; a line is left to the scrollbar where units scroll."""
        is_scrolled = self.label + self.span >= self.width
        room = max(0, self.height - self.header - is_scrolled)
        fitting = 2 * room // max(1, len(self.layers))
        return min(2 * _TALLEST, max(1, fitting) if self.has_halves else max(2, fitting // 2 * 2))

    @property
    def n_lines(self) -> int:
        """Lines of all layers."""
        return -(-self.halves * len(self.layers) // 2)

    @property
    def total(self) -> tuple[int, int]:
        """Width and height of everything."""
        return self.label + self.span, self.header + self.n_lines

    @property
    def page(self) -> int:
        """Units that fit side by side."""
        return max(1, (self.width - self.label) * self.n_units // max(1, self.span))

    def lines_of(self, layer: int) -> range:
        """The lines with cells of a layer, counted from the first line of cells; it may share the outer ones."""
        first = self.layers.index(layer) * self.halves
        return range(first // 2, -(-(first + self.halves) // 2))

    def label_line(self, layer: int) -> int:
        """The line with the layer's number, and with numbers in its cells: one that it has alone, if any."""
        lines = self.lines_of(layer)
        whole = [line for line in lines if self.both_at(line) == (layer, layer)]
        return whole[(len(whole) - 1) // 2] if whole else lines[0]

    def both_at(self, line: int) -> tuple[int | None, int | None]:
        """The layers of a line's two halves."""
        upper, lower = (half // self.halves for half in (2 * line, 2 * line + 1))
        n = len(self.layers)
        return (self.layers[upper] if upper < n else None, self.layers[lower] if lower < n else None)

    def layer_at(self, line: int) -> int | None:
        """The layer of the upper half of ``line``, counted from the first line of cells."""
        return self.both_at(line)[0] if line >= 0 else None

    def unit_at(self, column: int) -> int | None:
        """The unit whose cells are in ``column``, counted from the first column of cells."""
        if not 0 <= column < self.span:
            return None
        return ((column + 1) * self.n_units - 1) // self.span

    def units_in_sight(self, scroll: int) -> range:
        """The units that are visible, at least in part, when scrolled to column ``scroll``."""
        if not self.span or (first := self.unit_at(scroll)) is None:
            return range(0)
        last = self.unit_at(min(self.span, scroll + max(1, self.width - self.label)) - 1)
        return range(first, self.n_units if last is None else last + 1)

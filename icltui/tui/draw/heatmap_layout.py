"""The positions of the heatmap's cells: units from left to right, layers from top to bottom.

The header lines and the layer labels do not scroll.
"""

from dataclasses import dataclass
from functools import cached_property

_WIDEST, _TALLEST = 3, 2
"""Most columns of a unit, most lines of a layer."""


@dataclass(frozen=True)
class HeatmapLayout:
    """The layout of one heatmap, in cells of the terminal."""

    width: int
    height: int
    n_units: int
    layers: tuple[int, ...]

    @property
    def header(self) -> int:
        """Lines above the cells: the colorbar, the read-out, the ticks; fewer in a low pane."""
        return min(3, max(0, self.height - 2))

    @cached_property
    def label(self) -> int:
        """Columns left of the cells: the layer's number and a space."""
        return len(str(max(self.layers, default=0))) + 2

    @cached_property
    def cell_width(self) -> int:
        """Columns of one unit; a column is left to the scrollbar."""
        return min(_WIDEST, max(1, (self.width - self.label - 1) // max(1, self.n_units)))

    @property
    def cell_height(self) -> int:
        """Lines of one layer; a line is left to the scrollbar."""
        return min(_TALLEST, max(1, (self.height - self.header - 1) // max(1, len(self.layers))))

    @property
    def total(self) -> tuple[int, int]:
        """Width and height of everything."""
        width = self.label + self.cell_width * self.n_units
        return width, self.header + self.cell_height * len(self.layers)

    @property
    def page(self) -> int:
        """Units that fit side by side."""
        return max(1, (self.width - self.label) // self.cell_width)

    def layer_at(self, line: int) -> int | None:
        """The layer whose cells are on ``line``, counted from the first line of cells."""
        at = line // self.cell_height
        return self.layers[at] if 0 <= at < len(self.layers) else None

    def unit_at(self, column: int) -> int | None:
        """The unit whose cells are in ``column``, counted from the first column of cells."""
        unit = column // self.cell_width
        return unit if 0 <= unit < self.n_units else None

    def units_in_sight(self, scroll: int) -> range:
        """The units that are visible, at least in part, when scrolled to column ``scroll``."""
        last = (scroll + max(0, self.width - self.label) - 1) // self.cell_width
        return range(scroll // self.cell_width, min(self.n_units, last + 1))

    def tick_step(self) -> int:
        """Units from one tick to the next: the least of 1, 2, 5, 10, … with room for a number."""
        room = len(str(self.n_units)) + 2
        steps = (step * int(10**power) for power in range(7) for step in (1, 2, 5))
        return next(step for step in steps if step * self.cell_width >= room)

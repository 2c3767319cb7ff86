"""The lines of the heatmap: cells in shades, below a colorbar, a read-out and ticks."""

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from icltui.tui.draw.colormap import glyph
from icltui.tui.draw.heatmap_layout import HeatmapLayout
from icltui.tui.draw.safe_text import display, number
from icltui.tui.draw.shaded_lines import ShadedLines
from icltui.tui.state.shade_bounds import Bounds

_CROSSHAIR = ("", "+", "[]", "[ ]")
"""The mark of the cell under the crosshair, by cell width."""
_CURSOR = Style(reverse=True, bold=True)
_BOLD = Style(bold=True)
_UNKNOWN = "·"


@dataclass(frozen=True)
class HeatmapLines(ShadedLines):
    """One state of the heatmap; its shades are those of all layers."""

    grid: HeatmapLayout

    @cached_property
    def bounds(self) -> Bounds | None:
        """The numbers at the ends of the ramp, at all layers."""
        return self.measured.shade_bounds(self.coloring.name, self.grid.layers, positive=self.is_log)

    def above(self, line: int, scroll: int) -> list[Segment]:
        """Line 0, 1 or 2 above the cells: colorbar, read-out, ticks, scrolled by ``scroll`` columns."""
        if line == 0:
            return list(self.colorbar())
        return [Segment(" " + self._readout(), self.strong)] if line == 1 else self._ticks(scroll)

    def _readout(self) -> str:
        number = self.number() if self.layer in self.grid.layers else "not measured"
        return f"{number}  layer {self.layer}  unit {self.unit} {self.token()}{self._matrices()}"

    def _matrices(self) -> str:
        norms = self.measured.matrix_norms(self.unit, self.layer).items()
        each = (f"{display(name.removesuffix('_proj'))} {number(norm, 8).strip()}" for name, norm in norms)
        return f"  ‖ΔW‖ of {'  '.join(each)}" if norms else ""

    def _ticks(self, scroll: int) -> list[Segment]:
        grid, mark = self.grid, str(self.unit)
        step, column = grid.tick_step(), self.unit * grid.cell_width
        numbers = (str(unit) for unit in range(0, grid.n_units, step))
        line = "".join(number.ljust(step * grid.cell_width) for number in numbers)
        ahead, behind = line[:column].ljust(column), line[column + len(mark) :]
        if not ahead.endswith(" "):
            ahead = ahead.rstrip("0123456789").ljust(column)  # the mark cuts this number: drop all of it
        behind = " " * (len(behind) - len(behind.lstrip("0123456789"))) + behind.lstrip("0123456789")
        texts = Strip(
            [Segment(ahead, self.muted), Segment(mark, self.base + _CURSOR), Segment(behind, self.muted)]
        )
        return [Segment(" " * grid.label, self.base), *texts.crop(scroll, scroll + self._room())]

    def _room(self) -> int:
        return max(0, self.grid.width - self.grid.label)

    def cells(self, line: int, scroll: int) -> list[Segment]:
        """One line of cells after the layer's number, scrolled by ``scroll`` columns."""
        grid = self.grid
        layer = grid.layer_at(line)
        if layer is None:
            return []
        label = str(layer) if line % grid.cell_height == 0 else ""
        style = self.base + _CURSOR if layer == self.layer and label else self.muted
        units = grid.units_in_sight(scroll)
        drawn = [self._cell(unit, layer) for unit in units]
        # Cells of one shade become one segment: over a slow line each segment costs its escape sequence.
        runs = groupby(drawn, key=lambda cell: cell[1])
        strip = Strip([Segment("".join(text for text, _ in run), style) for style, run in runs])
        start = scroll - units.start * grid.cell_width
        in_front = [Segment(label.rjust(grid.label - 1), style), Segment(" ", self.base)]
        return [*in_front, *strip.crop(start, start + self._room())]

    def _cell(self, unit: int, layer: int) -> tuple[str, Style]:
        width = self.grid.cell_width
        is_cursor = unit == self.unit and layer == self.layer
        fraction = self.fraction(unit, layer)
        if fraction is not None and not self.glyphs:
            style = self.base + self.ramp.style(fraction)
            return (_CROSSHAIR[width], style + _BOLD) if is_cursor else (" " * width, style)
        if fraction is not None:
            text = glyph(fraction) * width
        else:
            text = (_UNKNOWN if self.measured.is_measured(unit) and not self.glyphs else " ").center(width)
        return text, self.base + _CURSOR if is_cursor else self.base

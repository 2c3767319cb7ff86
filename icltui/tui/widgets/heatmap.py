"""The heatmap: one measure of every unit (left to right) at every layer (0 on top), as shades.

A crosshair marks one cell; the colorbar and the read-out above the cells say in numbers what the shades say.
"""

from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.cache import LRUCache
from textual.geometry import Offset, Region, Size, Spacing
from textual.reactive import reactive
from textual.strip import Strip

from icltui.report.measures import MEASURES
from icltui.tui.draw.clipboard_text import measure_copy
from icltui.tui.draw.heatmap_layout import HeatmapLayout
from icltui.tui.draw.heatmap_lines import HeatmapLines
from icltui.tui.draw.token_colorings import measure_coloring
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets.bindings import first_and_last, key_binding
from icltui.tui.widgets.unit_cursor import NOT_MEASURED, ShadedUnits


class Heatmap(ShadedUnits):
    """Units by layers, as shades of one measure."""

    DEFAULT_CSS = """
    Heatmap {
        scrollbar-size: 1 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("heatmap.left", "h,left", "move_cursor(-1,0)", "Unit before", "One unit left"),
        key_binding("heatmap.right", "l,right", "move_cursor(1,0)", "Unit after", "One unit right"),
        key_binding("heatmap.up", "k,up", "move_cursor(0,-1)", "Layer before", "One layer up"),
        key_binding("heatmap.down", "j,down", "move_cursor(0,1)", "Layer after", "One layer down"),
        *first_and_last("heatmap"),
        key_binding("heatmap.page_down", "ctrl+d,pagedown", "move_page(1)", "Page right", "A page on"),
        key_binding("heatmap.page_up", "ctrl+u,pageup", "move_page(-1)", "Page left", "A page back"),
    ]

    measure: reactive[str] = reactive("delta_norm")
    """The name of one of :data:`~icltui.report.measures.MEASURES`."""

    def __init__(self, *, glyphs: bool | None = None, id: str | None = None) -> None:
        super().__init__(glyphs=glyphs, id=id)
        self._shown: tuple[object, ...] = ()
        self._units_shown: frozenset[int] = frozenset()
        self._lines: LRUCache[tuple[object, ...], Strip] = LRUCache(512)

    # What comes in.

    def show(self, measured: MeasuredUnits) -> None:
        """Show ``measured`` from now on."""
        self.measured = measured
        self._lines.clear()  # another measurement may have the same versions
        self._shown = ()
        self.advance()
        self.unit = self.unit
        self.call_after_refresh(self.reveal)

    def advance(self) -> None:
        """Paint what came in since: only its columns, as long as the shades of the others hold."""
        units, shown = self.measured.units, (self._grid, self._bounds)
        new = units - self._units_shown
        if shown != self._shown or not self._units_shown <= units:
            self.virtual_size = Size(*self._grid.total)
            self.refresh()
        elif new:
            self._refresh_units(min(new), max(new))
            self.refresh_header()
        self._shown, self._units_shown = shown, units

    def copied(self) -> str:
        """The present measure of every unit at every layer."""
        return measure_copy(self.measured, self.measure, self.measured.layers)

    @property
    def _grid(self) -> HeatmapLayout:
        return HeatmapLayout(*self.content_size, self.measured.n_units, self.measured.layers)

    @property
    def _is_log(self) -> bool:
        return self.is_log and MEASURES[self.measure].log

    @property
    def _bounds(self) -> tuple[float, float] | None:
        return self.measured.shade_bounds(self.measure, self.measured.layers, positive=self._is_log)

    def watch_shown_layer(self, before: int, after: int) -> None:
        """Repaint two rows, and the read-out."""
        for layer in {before, after} & set(self._grid.layers):
            _, y, _, height = self.region_of(self.unit, layer)
            self.refresh_cells(Region(self.scroll_offset.x, y, self.size.width, height))
        self.refresh_header()
        self.reveal()

    def on_resize(self) -> None:
        """Fit the cells to the room."""
        self.virtual_size = Size(*self._grid.total)
        self.call_after_refresh(self.reveal)

    def forget_lines(self) -> None:
        """Draw every line again."""
        self._lines.clear()

    @property
    def frozen(self) -> Spacing:
        """The colorbar, the read-out and the ticks; the numbers of the layers."""
        return Spacing(top=self._grid.header, left=self._grid.label)

    def region_of(self, unit: int, layer: int) -> Region:
        """The cells; of a layer that was not measured, nothing high."""
        grid = self._grid
        x, width = grid.label + unit * grid.cell_width, grid.cell_width
        if layer not in grid.layers:
            return Region(x, self.scroll_offset.y + grid.header, width, 0)
        y = grid.header + grid.layers.index(layer) * grid.cell_height
        return Region(x, y, width, grid.cell_height)

    def cell_at(self, offset: Offset) -> tuple[int, int] | None:
        """The unit and the layer whose cell it is."""
        grid = self._grid
        unit, layer = grid.unit_at(offset.x - grid.label), grid.layer_at(offset.y - grid.header)
        return None if unit is None or layer is None else (unit, layer)

    def _refresh_units(self, first: int, last: int) -> None:
        grid = self._grid
        x = grid.label + first * grid.cell_width - self.scroll_offset.x
        self.refresh(Region(x, 0, (last - first + 1) * grid.cell_width, self.size.height))

    # What the user does.

    def action_move_cursor(self, units: int, layers: int) -> None:
        """Move the crosshair by so many units and layers."""
        known = self.measured.layers
        if known:
            nearest = min(known, key=lambda layer: abs(layer - self.shown_layer))
            at = known.index(nearest) + (layers if nearest == self.shown_layer else 0)
            self.select(self.unit + units, known[max(0, min(at, len(known) - 1))])

    def action_move_page(self, pages: int) -> None:
        """Move the crosshair by ``pages`` screens of units."""
        self.select(self.unit + pages * self._grid.page, self.shown_layer)

    # What is drawn.

    def render_line(self, y: int) -> Strip:
        """The colorbar, read-out or ticks, or a line of the layers below them."""
        grid, width = self._grid, self.scrollable_content_region.width
        line = y - grid.header + (0 if y < grid.header else self.scroll_offset.y)
        is_crossed = line < 0 or grid.layer_at(line) == self.shown_layer  # no other line shows the crosshair
        cursor = (self.unit, self.shown_layer) if is_crossed else None
        view = (self.measure, self.is_log, self.glyphs, cursor, self.scroll_offset.x)
        units = grid.units_in_sight(self.scroll_offset.x) if line >= 0 else (self.unit,)
        key = (line, grid, width, self.measured.changed_at(units), self._bounds, view)
        if (strip := self._lines.get(key)) is None:
            strip = Strip(self._draw(line, grid)).adjust_cell_length(width, self.rich_style)
            self._lines[key] = strip
        return strip

    def _draw(self, line: int, grid: HeatmapLayout) -> list[Segment]:
        if not grid.n_units:
            return [Segment(NOT_MEASURED, self.rich_style)] if line == -grid.header else []
        lines = HeatmapLines(*self.state_of_lines(measure_coloring(self.measure)), grid)
        scroll = self.scroll_offset.x
        return lines.cells(line, scroll) if line >= 0 else lines.above(line + grid.header, scroll)

"""The heatmap: one measure of every unit (left to right) at every layer (0 on top), as shades.

A :class:`.MeasuredUnits` enters through :meth:`Heatmap.show`; :class:`Heatmap.CellSelected`
leaves. A crosshair marks one cell; the legend and the read-out above the cells say in numbers what the shades say.
"""

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from icltui.report.measures import MEASURES
from icltui.tui.draw.clipboard_text import measure_copy
from icltui.tui.draw.colormap import needs_glyphs
from icltui.tui.draw.heatmap_layout import HeatmapLayout
from icltui.tui.draw.heatmap_lines import HeatmapLines
from icltui.tui.state.measured_units import MeasuredUnits

_NOTHING = "Nothing measured yet: write a context and a query, then run."


class Heatmap(ScrollView, can_focus=True):
    """Units by layers, as shades of one measure."""

    DEFAULT_CSS = """
    Heatmap {
        scrollbar-size: 1 1;
        & > .heatmap--muted { color: $text-muted; }
        & > .heatmap--strong { text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"heatmap--muted", "heatmap--strong"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "h,left", "move_cursor(-1,0)", "Unit before", False, tooltip="One unit left", id="heatmap.left"
        ),
        Binding(
            "l,right", "move_cursor(1,0)", "Unit after", False, tooltip="One unit right", id="heatmap.right"
        ),
        Binding("k,up", "move_cursor(0,-1)", "Layer before", False, tooltip="One layer up", id="heatmap.up"),
        Binding(
            "j,down", "move_cursor(0,1)", "Layer after", False, tooltip="One layer down", id="heatmap.down"
        ),
        Binding("g,home", "move_first", "First unit", False, tooltip="To the first unit", id="heatmap.first"),
        Binding("G,end", "move_last", "Last unit", False, tooltip="To the last unit", id="heatmap.last"),
        Binding(
            "ctrl+d,pagedown",
            "move_page(1)",
            "Page right",
            False,
            tooltip="A page on",
            id="heatmap.page_down",
        ),
        Binding(
            "ctrl+u,pageup", "move_page(-1)", "Page left", False, tooltip="A page back", id="heatmap.page_up"
        ),
    ]

    class CellSelected(Message):
        """The user moved the crosshair to ``unit`` and ``layer``."""

        def __init__(self, unit: int, layer: int) -> None:
            super().__init__()
            self.unit = unit
            self.layer = layer

    unit: reactive[int] = reactive(0, repaint=False)
    """The crosshair's unit."""
    shown_layer: reactive[int] = reactive(0, repaint=False)
    """The crosshair's layer."""
    measure: reactive[str] = reactive("delta_norm", repaint=False)
    """The name of one of :data:`~icltui.report.measures.MEASURES`."""
    is_log: reactive[bool] = reactive(False, repaint=False)
    """Whether shades follow the logarithm, where the measure allows it."""
    glyphs: reactive[bool] = reactive(False)
    """Whether characters stand for colours; chosen for the terminal when the widget is mounted."""

    def __init__(
        self,
        *,
        glyphs: bool | None = None,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.measured = MeasuredUnits()
        self._glyphs_asked = glyphs
        self._shown: tuple[object, ...] = ()
        self._units_shown: frozenset[int] = frozenset()
        self._lines: LRUCache[tuple[object, ...], Strip] = LRUCache(512)

    def on_mount(self) -> None:
        """See what the terminal can do."""
        self.glyphs = needs_glyphs(self.app) if self._glyphs_asked is None else self._glyphs_asked

    # What comes in.

    def show(self, measured: MeasuredUnits) -> None:
        """Show ``measured`` from now on."""
        self.measured = measured
        self._lines.clear()  # another measurement may have the same versions
        self._shown = ()
        self.advance()
        self.unit = self.unit
        self.call_after_refresh(self._reveal)

    def advance(self) -> None:
        """Paint what came in since: only its columns, as long as the shades of the others hold."""
        units, shown = self.measured.units, (self._grid, self._bounds)
        new = units - self._units_shown
        if shown != self._shown or not self._units_shown <= units:
            self.virtual_size = Size(*self._grid.total)
            self.refresh()
        elif new:
            self._refresh_units(min(new), max(new))
            self._refresh_header()
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
        return self.measured.bounds(self.measure, self.measured.layers, positive=self._is_log)

    def validate_unit(self, unit: int) -> int:
        """The nearest unit there is."""
        return max(0, min(unit, self.measured.n_units - 1))

    def watch_unit(self, before: int, after: int) -> None:
        """Repaint two cells."""
        grid = self._grid
        if self.shown_layer in grid.layers:
            y, width = self._line_of(grid, self.shown_layer), grid.cell_width
            for unit in (before, after):
                x = grid.label + unit * width - self.scroll_offset.x
                self.refresh(Region(x, y, width, grid.cell_height))
        self._refresh_header()
        self._reveal()

    def watch_shown_layer(self, before: int, after: int) -> None:
        """Repaint two rows."""
        grid = self._grid
        for layer in {before, after} & set(grid.layers):
            self.refresh(Region(0, self._line_of(grid, layer), self.size.width, grid.cell_height))
        self._refresh_header()
        self._reveal()

    def watch_measure(self) -> None:
        """Other numbers everywhere."""
        self.refresh()

    def watch_is_log(self) -> None:
        """Other shades everywhere."""
        self.refresh()

    def watch_glyphs(self) -> None:
        """Other cells everywhere."""
        self.refresh()

    def on_resize(self) -> None:
        """Fit the cells to the room and keep the crosshair in sight."""
        self.virtual_size = Size(*self._grid.total)
        self.call_after_refresh(self._reveal)

    def notify_style_update(self) -> None:
        """The theme changed: draw every line anew."""
        self._lines.clear()
        super().notify_style_update()

    def _line_of(self, grid: HeatmapLayout, layer: int) -> int:
        return grid.header + grid.layers.index(layer) * grid.cell_height - self.scroll_offset.y

    def _refresh_header(self) -> None:
        self.refresh(Region(0, 0, self.size.width, self._grid.header))

    def _refresh_units(self, first: int, last: int) -> None:
        grid = self._grid
        x = grid.label + first * grid.cell_width - self.scroll_offset.x
        self.refresh(Region(x, 0, (last - first + 1) * grid.cell_width, self.size.height))

    def _reveal(self) -> None:
        grid, room, scroll = self._grid, self.scrollable_content_region.size, self.scroll_offset
        x, width = self.unit * grid.cell_width, room.width - grid.label
        left = min(max(scroll.x, x + grid.cell_width - width), x)
        top = scroll.y
        if self.shown_layer in grid.layers:
            y, height = grid.layers.index(self.shown_layer) * grid.cell_height, room.height - grid.header
            top = min(max(top, y + grid.cell_height - height), y)
        if (left, top) != scroll:
            self.scroll_to(left, top, animate=False, immediate=True)

    # What the user does.

    def action_move_cursor(self, units: int, layers: int) -> None:
        """Move the crosshair by so many units and layers."""
        known = self.measured.layers
        if known:
            nearest = min(known, key=lambda layer: abs(layer - self.shown_layer))
            place = known.index(nearest) + layers if nearest == self.shown_layer else known.index(nearest)
            self._select(self.unit + units, known[max(0, min(place, len(known) - 1))])

    def action_move_first(self) -> None:
        """Move the crosshair to the empty context."""
        self._select(0, self.shown_layer)

    def action_move_last(self) -> None:
        """Move the crosshair to the newest unit."""
        self._select(self.measured.last_unit, self.shown_layer)

    def action_move_page(self, pages: int) -> None:
        """Move the crosshair by ``pages`` screens of units."""
        self._select(self.unit + pages * self._grid.page, self.shown_layer)

    def on_click(self, event: events.Click) -> None:
        """Move the crosshair under the mouse."""
        offset, grid = event.get_content_offset(self), self._grid
        if offset is None or offset.x < grid.label or offset.y < grid.header:
            return
        unit = grid.unit_at(offset.x - grid.label + self.scroll_offset.x)
        layer = grid.layer_at(offset.y - grid.header + self.scroll_offset.y)
        if unit is not None and layer is not None:
            self._select(unit, layer)

    def _select(self, unit: int, layer: int) -> None:
        before = self.unit, self.shown_layer
        self.unit, self.shown_layer = unit, layer
        if (self.unit, self.shown_layer) != before:
            self.post_message(self.CellSelected(self.unit, self.shown_layer))

    # What is drawn.

    def render_line(self, y: int) -> Strip:
        """Legend, read-out and ticks on top, and below them the layers that are scrolled to."""
        grid, width = self._grid, self.scrollable_content_region.width
        line = y - grid.header + (0 if y < grid.header else self.scroll_offset.y)
        is_crossed = (
            line < 0 or grid.layer_at(line) == self.shown_layer
        )  # the other lines do not tell of the crosshair
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
            return [Segment(_NOTHING, self.rich_style)] if line == -grid.header else []
        muted = self.get_component_rich_style("heatmap--muted")
        strong = self.get_component_rich_style("heatmap--strong")
        picture = HeatmapLines(
            self.measured,
            grid,
            self.measure,
            self._is_log,
            self.glyphs,
            self.unit,
            self.shown_layer,
            self.rich_style,
            muted,
            strong,
        )
        scroll = self.scroll_offset.x
        return picture.cells(line, scroll) if line >= 0 else picture.above(line + grid.header, scroll)

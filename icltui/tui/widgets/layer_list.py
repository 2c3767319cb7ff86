"""The layers, one line each: ticked or not, how much happens there, bars over the units, the selected unit's number.

On the whole screen a layer has as many lines as there is room for. The mark is drawn as ``[x]``, never by colour alone;
``[-]`` is a layer that the check at load refused, its reason in the border under the cursor and in the tooltip. Once
the patch is verified, each line ends in its block error.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from textual.binding import BindingType
from textual.content import Content
from textual.events import Click
from textual.geometry import Offset, Region, Size
from textual.reactive import reactive
from textual.strip import Strip

from icltui.report.measures import MEASURES, PEAK
from icltui.tui.draw.bar import bar
from icltui.tui.draw.clipboard_text import layers_copy
from icltui.tui.draw.colormap import level, ramp
from icltui.tui.draw.safe_text import CURSOR, content, display, fit, number
from icltui.tui.draw.sparkline import Heights, bar_segments, heights
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.bordered import Bordered
from icltui.tui.widgets.messages import LayerToggled
from icltui.tui.widgets.unit_cursor import UnitCursor
from icltui.values import Verification

_NONE: Mapping[int, float] = MappingProxyType({})
_NARROW, _WIDE = 20, 30
"""Cells from which on there is room for the number, and for the block error."""
_ROOMY = 90
"""Cells from which on the greatest number and its unit are shown too."""
_UNIT_TEXT = 16
_LEAST_HEAT = 0.125
"""An eighth of a cell: a layer with numbers has something to be seen."""
_ROWS, _GAP_FROM = 5, 3
"""The most rows of one layer, where the list has the whole screen; and from how many on the topmost stays blank."""


class LayerLine(NamedTuple):
    """What is drawn on one line."""

    label: str = ""
    heat: float | None = None
    """The layer's mean, as a fraction of the way from the least layer's to the greatest."""
    is_busiest: bool = False
    heights: Heights = ()
    shades: Heights = ()
    """Of the bars, from the least number of all layers to the greatest."""
    row: int = 0
    """Of the bars, from the top."""
    value: str = ""
    remark: str = ""
    is_cursor: bool = False


class LayerList(UnitCursor, Bordered):
    """The list; the screen does the ticking."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("layers.down", "j,down", "move(1)", "Next layer", "One layer down"),
        key_binding("layers.up", "k,up", "move(-1)", "Layer before", "One layer up"),
        key_binding("layers.first", "g,home", "move(-10000)", "First", "To the first layer"),
        key_binding("layers.last", "G,end", "move(10000)", "Last", "To the last layer"),
        key_binding("layers.tick", "enter", "screen.toggle_layer", "Tick", "Tick or untick the layer"),
        key_binding(
            *("layers.weaker", "minus", "screen.change_layer_alpha(-0.1)"),
            *("Weaker layer", "Lower the strength of this layer's patch by 0.1"),
        ),
        key_binding(
            *("layers.stronger", "plus", "screen.change_layer_alpha(0.1)"),
            *("Stronger layer", "Raise the strength of this layer's patch by 0.1, up to 2"),
        ),
        # Elsewhere n is the next match.
        key_binding("layers.none", "n", "screen.tick_layers('none')", "None", "Untick every layer"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"layer-list--cursor", "layer-list--quiet"}

    measure: reactive[str] = reactive("delta_norm", repaint=False)
    is_log: reactive[bool] = reactive(True, repaint=False)

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.n_layers = 0
        self.ticked: frozenset[int] = frozenset()
        self.refused: Mapping[int, str] = {}
        self._errors: dict[int, float | None] = {}
        self._strengths = _NONE
        self._heat: dict[int, float | None] = {}
        self._busiest: int | None = None
        self._lines: dict[int, LayerLine] = {}
        """What was drawn last, line by line."""
        self._caption()

    def show(
        self,
        measured: MeasuredUnits,
        n_layers: int,
        ticked: Sequence[int],
        refused: Mapping[int, str],
        strengths: Mapping[int, float] = _NONE,
    ) -> None:
        """Draw these layers with the numbers of ``measured``; ``refused`` ones with no number.

        ``strengths`` are those of layers whose patch has one of its own.
        """
        self._strengths = strengths
        self.measured, self.n_layers, self.ticked = measured, n_layers, frozenset(ticked)
        if refused != self.refused:
            self.refused = refused
            reasons = [content(f"layer {layer} is refused: {reason}") for layer, reason in refused.items()]
            self.tooltip = Content("\n").join(reasons) if reasons else None
        self._caption()
        self._warm()
        if self.virtual_size.height != n_layers * self.n_rows:
            self.virtual_size = Size(0, n_layers * self.n_rows)
            self.refresh(layout=True)
        for y in range(self.size.height):
            if self._lines.get(y) != self._line_at(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def _warm(self) -> None:
        """Find how much happens at each layer, and where the most does."""
        means = {layer: self.measured.mean(self.measure, layer) for layer in self.measured.layers}
        known = [mean for mean in means.values() if mean is not None]
        low, high = min(known, default=0.0), max(known, default=0.0)
        self._heat = {layer: level(mean, low, high, self.is_log) for layer, mean in means.items()}
        self._busiest = self.measured.busiest_layer(self.measure) if low < high else None

    @property
    def n_rows(self) -> int:
        """The lines of one layer: more than one where the list has the whole screen."""
        if not self.n_layers or not self.is_attached or not self.is_maximized:
            return 1
        return max(1, min(_ROWS, self.size.height // self.n_layers))

    def on_resize(self) -> None:
        """Take as many lines as there is room for, the cursor in sight."""
        self.virtual_size = Size(0, self.n_layers * self.n_rows)
        self.reveal()

    def centre(self) -> None:
        """Show as much before the cursor as after it."""
        y = self.shown_layer * self.n_rows - self.size.height // 2
        self.scroll_to(y=max(0, y), animate=False, force=True, immediate=True)

    def show_proof(self, verification: Verification | None) -> None:
        """Draw each layer's block error, or none."""
        checks = verification.layers if verification else ()
        errors = {check.layer: check.block_error for check in checks}
        if errors != self._errors:
            self._errors = errors
            self._caption()
            self.refresh()

    def copied(self) -> str:
        """Every layer, as tab-separated text."""
        ticked = {layer: layer in self.ticked for layer in range(self.n_layers)}
        return layers_copy(self.measured, self.measure, self.unit, ticked, self._errors, self.refused)

    def _caption(self) -> None:
        title = f"3 Layers  {len(self.ticked)}/{self.n_layers}" if self.n_layers else "3 Layers"
        at = f" at unit {self.unit}" if self.measured.n_units else ""
        error = " · block error" if self._errors else ""
        remark = f"{MEASURES[self.measure].symbol}{at}{error}"
        self.frame(title, display(self.refused.get(self.shown_layer, remark)))

    def validate_unit(self, unit: int) -> int:
        """Accept any unit: the measurement that has it may be shown a moment later."""
        return unit

    def watch_unit(self, before: int, after: int) -> None:  # noqa: ARG002
        self._refresh_all()

    def watch_shown_layer(self) -> None:
        """Keep the cursor in sight."""
        self._refresh_all()
        self.reveal()

    def watch_measure(self) -> None:
        self._refresh_all()

    def watch_is_log(self) -> None:
        self._refresh_all()

    def _refresh_all(self) -> None:
        self._warm()
        self._caption()
        self.refresh()

    def region_of(self, unit: int, layer: int) -> Region:  # noqa: ARG002
        """The layer's line, whatever the unit."""
        return Region(0, layer * self.n_rows, self.size.width, self.n_rows)

    def cell_at(self, offset: Offset) -> tuple[int, int] | None:
        """The layer whose line it is."""
        layer = offset.y // self.n_rows
        return (self.unit, layer) if 0 <= layer < self.n_layers else None

    def action_move(self, step: int) -> None:
        """Move the cursor by ``step`` layers."""
        if self.n_layers:
            self.select(self.unit, min(max(self.shown_layer + step, 0), self.n_layers - 1))

    def on_click(self, event: Click) -> None:
        """Tick or untick the layer whose mark was clicked; the base has the cursor move there."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.x < 3 and (cell := self.cell_at(offset + self.scroll_offset)):
            self.post_message(LayerToggled(cell[1]))

    def render_line(self, y: int) -> Strip:
        """A line of a layer; below the last, nothing."""
        line = self._lines[y] = self._line_at(y)
        base = self.get_component_rich_style("layer-list--cursor") if line.is_cursor else self.rich_style
        muted = self.get_component_rich_style("layer-list--quiet")
        # The cursor's line has the cursor's colours alone, since bars could vanish in them.
        inks, quiet = ramp(self.app), base if line.is_cursor else muted
        heat = bar(max(line.heat, _LEAST_HEAT), 1) if line.heat is not None else " "
        ink = base if line.is_cursor or line.heat is None else base + inks.ink(line.heat)
        segments = [Segment(line.label, base if self.n_layers else quiet)]
        if line.heights:
            mark = PEAK if line.is_busiest else heat
            segments += [Segment(mark if line.row == self.n_rows - 1 else " ", ink), Segment(" ", base)]
            gap = int(self.n_rows >= _GAP_FROM)
            shown = line.heights if line.row >= gap else (None,) * len(line.heights)
            place = line.row - gap, self.n_rows - gap
            segments += bar_segments(shown, line.shades, *place, inks, base, is_plain=line.is_cursor)
        segments += [Segment(line.value, base), Segment(line.remark, quiet)]
        width = self.scrollable_content_region.width
        return Strip([s for s in segments if s.text]).adjust_cell_length(width, base)

    def _line_at(self, y: int) -> LayerLine:
        """What is drawn on a line of the screen."""
        layer, row = divmod(y + self.scroll_offset.y, self.n_rows)
        if not self.n_layers:
            return LayerLine("waiting for the model" if y == 0 else "")
        return self._line_of(layer, row) if layer < self.n_layers else LayerLine()

    def _line_of(self, layer: int, row: int) -> LayerLine:
        """Mark, index, heat, bars, number at the unit, block error: whatever of it has room."""
        width, is_last = self.scrollable_content_region.width, row == self.n_rows - 1
        mark = "-" if layer in self.refused else "x" if layer in self.ticked else " "
        is_cursor = layer == self.shown_layer
        index = f"{layer:>{len(str(self.n_layers - 1))}}"
        label = f"[{mark}]{CURSOR if is_cursor else ' '}{index}" if is_last else " " * (len(index) + 4)
        if layer in self.refused:
            return LayerLine(label, remark="  refused" if is_last else "", is_cursor=is_cursor)
        value = number(self.measured.value(self.measure, self.unit, layer), 8) if width >= _NARROW else ""
        if is_last and layer in self._strengths:
            label += f" ×{self._strengths[layer]:g}"
        remark = number(self._errors.get(layer), 9) if self._errors and width >= _WIDE else ""
        remark += self._greatest(layer) if width >= _ROOMY else ""
        room = max(0, width - len(label) - 2 - len(value) - len(remark))
        bounds = self.measured.bounds(self.measure, (layer,))
        peaks, layers = self.measured.peaks(self.measure, layer, room), self.measured.layers
        shown = heights(peaks, bounds, room, self.is_log)
        ends = self.measured.shade_bounds(self.measure, layers, positive=self.is_log)
        shades = heights(peaks, ends, room, self.is_log)
        if not is_last:
            value, remark = "", ""
        is_busiest = layer == self._busiest
        return LayerLine(
            label, self._heat.get(layer), is_busiest, shown, shades, row, value, remark, is_cursor
        )

    def _greatest(self, layer: int) -> str:
        """The greatest number of the layer, and the unit that it is at."""
        values = self.measured.series(self.measure, layer)
        known = [unit for unit, value in enumerate(values) if value is not None]
        unit = max(known, key=lambda unit: values[unit] or 0.0, default=None)
        if unit is None:
            return " " * (_UNIT_TEXT + 20)
        text = fit(self.measured.unit_text(unit), _UNIT_TEXT)
        return f"  max {number(values[unit], 7).strip():<7} {unit:>5} {text}"

"""The layers, one line each: ticked or not, a sparkline over the units, the number at the selected unit.

The mark is drawn as ``[x]``, never by colour alone; ``[-]`` is a layer that the check at load refused, its reason in
the border under the cursor and in the tooltip. Once the patch is verified, each line ends in its block error.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.content import Content
from textual.events import Click
from textual.geometry import Offset, Region, Size
from textual.reactive import reactive
from textual.strip import Strip

from icltui.report.measures import MEASURES
from icltui.tui.draw.clipboard_text import layers_copy
from icltui.tui.draw.colormap import level
from icltui.tui.draw.safe_text import CURSOR, content, display, number
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.bordered import Bordered
from icltui.tui.widgets.messages import LayerToggled
from icltui.tui.widgets.unit_cursor import UnitCursor
from icltui.values import Verification

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(
    series: Sequence[float | None], bounds: tuple[float, float] | None, width: int, log: bool
) -> str:
    """``series`` stretched over exactly ``width`` bars, the largest of each bin; blank where nothing is known."""
    if width <= 0:
        return ""
    if bounds is None or not series:
        return " " * width
    bars = []
    for column in range(width):
        first, last = column * len(series) // width, (column + 1) * len(series) // width
        known = [value for value in series[first : max(last, first + 1)] if value is not None]
        height = level(max(known), *bounds, log) if known else None
        bars.append(" " if height is None else _BARS[min(7, int(height * 8))])
    return "".join(bars)


class LayerList(UnitCursor, Bordered):
    """The list; the screen does the ticking."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("layers.down", "j,down", "move(1)", "Next layer", "One layer down"),
        key_binding("layers.up", "k,up", "move(-1)", "Layer before", "One layer up"),
        key_binding("layers.first", "g,home", "move(-10000)", "First", "To the first layer"),
        key_binding("layers.last", "G,end", "move(10000)", "Last", "To the last layer"),
        key_binding("layers.tick", "enter", "screen.toggle_layer", "Tick", "Tick or untick the layer"),
        # Elsewhere n is the next match.
        key_binding("layers.none", "n", "screen.tick_layers('none')", "None", "Untick every layer"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"layer-list--cursor", "layer-list--bars", "layer-list--quiet"}

    measure: reactive[str] = reactive("delta_norm", repaint=False)
    is_log: reactive[bool] = reactive(True)

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.n_layers = 0
        self.ticked: frozenset[int] = frozenset()
        self.refused: Mapping[int, str] = {}
        self._errors: dict[int, float | None] = {}
        self._lines: dict[int, tuple[list[tuple[str, str]], bool]] = {}
        """What was drawn last, line by line."""
        self._caption()

    def show(
        self, measured: MeasuredUnits, n_layers: int, ticked: Sequence[int], refused: Mapping[int, str]
    ) -> None:
        """Draw these layers with the numbers of ``measured``; ``refused`` ones with no number."""
        self.measured, self.n_layers, self.ticked = measured, n_layers, frozenset(ticked)
        if refused != self.refused:
            self.refused = refused
            reasons = [content(f"layer {layer} is refused: {reason}") for layer, reason in refused.items()]
            self.tooltip = Content("\n").join(reasons) if reasons else None
        self._caption()
        if self.virtual_size.height != n_layers:
            self.virtual_size = Size(0, n_layers)
            self.refresh(layout=True)
        for y in range(self.size.height):
            if self._lines.get(y) != self._line_at(y):
                self.refresh(Region(0, y, self.size.width, 1))

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

    def _refresh_all(self) -> None:
        self._caption()
        self.refresh()

    def region_of(self, unit: int, layer: int) -> Region:  # noqa: ARG002
        """The layer's line, whatever the unit."""
        return Region(0, layer, self.size.width, 1)

    def cell_at(self, offset: Offset) -> tuple[int, int] | None:
        """The layer whose line it is."""
        return (self.unit, offset.y) if 0 <= offset.y < self.n_layers else None

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
        """One layer; below the last, nothing."""
        self._lines[y] = pieces, is_cursor = self._line_at(y)
        base = self.get_component_rich_style("layer-list--cursor") if is_cursor else self.rich_style
        segments = [Segment(text, self._style(base, name, is_cursor)) for text, name in pieces if text]
        return Strip(segments).adjust_cell_length(self.scrollable_content_region.width, base)

    def _line_at(self, y: int) -> tuple[list[tuple[str, str]], bool]:
        """The pieces of a line, and whether the cursor is on it."""
        layer = y + self.scroll_offset.y
        if not self.n_layers and y == 0:
            return [("waiting for the model", "layer-list--quiet")], False
        if layer >= self.n_layers:
            return [], False
        return self._pieces(layer, self.scrollable_content_region.width), layer == self.shown_layer

    def _pieces(self, layer: int, width: int) -> list[tuple[str, str]]:
        """Mark, index, sparkline, number at the unit, block error: whatever of it has room."""
        mark = "-" if layer in self.refused else "x" if layer in self.ticked else " "
        cursor = CURSOR if layer == self.shown_layer else " "
        label = f"[{mark}]{cursor}{layer:>{len(str(self.n_layers - 1))}} "
        if layer in self.refused:
            return [(label, ""), (" refused", "layer-list--quiet")]
        value = number(self.measured.value(self.measure, self.unit, layer), 8) if width >= 20 else ""
        error = number(self._errors.get(layer), 9) if self._errors and width >= 30 else ""
        room = width - len(label) - len(value) - len(error)
        bounds = self.measured.bounds(self.measure, (layer,))
        bars = sparkline(self.measured.peaks(self.measure, layer, max(room, 0)), bounds, room, self.is_log)
        return [(label, ""), (bars, "layer-list--bars"), (value, ""), (error, "layer-list--quiet")]

    def _style(self, base: Style, name: str, is_cursor: bool) -> Style:
        """The cursor's line has the cursor's colours alone, since bars could vanish in them."""
        return base if is_cursor or not name else base + self.get_component_rich_style(name, partial=True)

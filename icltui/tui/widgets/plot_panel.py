"""The plot panel: a measure by unit, the next tokens by unit, or a patch that is varied.

A :class:`.MeasuredUnits` enters through :meth:`PlotPanel.show`, beside it that of another run to compare with, the
report on a patch through :meth:`PlotPanel.show_patch`, and what a compilation has tried through
:meth:`PlotPanel.show_choice`; the cursor leaves as :class:`~.UnitCursor.Moved`. A drawing of many lines costs tens of
milliseconds, so what streams in is drawn at most three times a second, more seldom if it costs more; what the user
does shows at once, and the cursor is laid over the drawing that is there.
"""

from asyncio import TimerHandle, get_running_loop
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import ClassVar, Literal

from textual.binding import BindingType
from textual.geometry import Offset, Region
from textual.reactive import reactive
from textual.strip import Strip

from icltui.tui.draw.clipboard_text import measure_copy
from icltui.tui.draw.plot_drawing import PlotDrawing
from icltui.tui.draw.plot_figure import Figure
from icltui.tui.draw.plots import (
    OF_PATCH,
    Overlay,
    Pin,
    View,
    choice_figure,
    curve_figure,
    layer_figures,
    measure_figure,
    measure_pin,
    measures_figures,
    tokens_figure,
    views,
)
from icltui.tui.draw.small_multiples import MultiplesDrawing
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.plot_ink import PLOT_CLASSES, PLOT_CSS, plot_ink
from icltui.tui.widgets.unit_cursor import UnitCursor
from icltui.values import ChoicePoint, PatchReport

INTERVAL = 1 / 3
"""Least seconds from one drawing of what streams in to the next."""
SHARE = 0.2
"""The most of the time that goes into such drawings."""
Multiples = Literal["", "layers", "measures"]
_MULTIPLES: tuple[Multiples, ...] = ("", "layers", "measures")
_OF_UNITS: tuple[View, ...] = ("measure", "tokens")


class PlotPanel(UnitCursor):
    """Lines over the units of a measurement, or over what is varied of a patch."""

    COMPONENT_CLASSES: ClassVar[set[str]] = PLOT_CLASSES
    DEFAULT_CSS = f"PlotPanel {{ height: 1fr; overflow: hidden; {PLOT_CSS} }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding(
            "plots.left", "h", "move_cursor(-1)", "Left", "The cursor one unit, or point, to the left"
        ),
        key_binding(
            "plots.right", "l", "move_cursor(1)", "Right", "The cursor one unit, or point, to the right"
        ),
        key_binding(
            "plots.down", "j,down", "move_line(1)", "Next line", "To the next line: a layer, a token, a pin"
        ),
        key_binding("plots.up", "k,up", "move_line(-1)", "Line before", "To the line before"),
        key_binding("plots.first", "g,home", "move_first", "First unit", "To the first unit or point"),
        key_binding("plots.last", "G,end", "move_last", "Last unit", "To the last unit or point"),
        key_binding(
            "plots.multiples",
            "V",
            "next_multiples",
            "Small multiples",
            "A panel for each layer, then for each measure",
        ),
        key_binding(
            "plots.pin", "plus", "pin", "Pin", "Keep the line in focus while runs come and go; again: let go"
        ),
    ]

    view: reactive[View] = reactive("measure", repaint=False)
    """What is plotted."""
    measure: reactive[str] = reactive("delta_norm", repaint=False)
    """The name of one of :data:`~icltui.report.measures.MEASURES`."""
    shown_layers: reactive[tuple[int, ...]] = reactive((), repaint=False)
    """The layers that have lines; all that were measured, if empty."""
    alpha: reactive[float | None] = reactive(None, repaint=False)
    """Which strength the curve against α marks; None: the one that the varied patch has."""
    is_log: reactive[bool] = reactive(True, repaint=False)
    """Whether the scale is logarithmic, where the measure allows it."""
    multiples: reactive[Multiples] = reactive("", repaint=False)
    """Whether a measure has a panel for each layer, or a layer one for each measure."""

    def __init__(self, *, glyphs: bool | None = None, id: str | None = None) -> None:
        super().__init__(id=id)
        self.run_name = ""
        """What a pin of the present run is called."""
        self.patch: PatchReport | None = None
        self.points: Sequence[ChoicePoint] = ()
        self.pins: tuple[Pin, ...] = ()
        self._other: Overlay | None = None
        self._lines: dict[View, int] = {}
        """The line in focus, where it is not that of the shown layer."""
        self._at: dict[View, int] = {}
        """The cursor over points that are no units."""
        self.n_drawings = 0
        """How many drawings were made so far."""
        self._glyphs = glyphs
        self._drawing: PlotDrawing | MultiplesDrawing | None = None
        self._may_draw_at = 0.0
        self._timer: TimerHandle | None = None

    def on_mount(self) -> None:
        """Follow what is shown."""
        for name in ("view", "measure", "shown_layers", "shown_layer", "alpha", "is_log", "multiples"):
            self.watch(self, name, self._redraw, init=False)

    # What comes in.

    def show(self, measured: MeasuredUnits) -> None:
        """Show ``measured`` from now on."""
        self.measured = measured
        self.advance()

    def compare(self, other: MeasuredUnits | None, label: str = "") -> None:
        """Add a line of ``other``, named ``label``; None removes it."""
        self._other = Overlay(other, label) if other else None
        self.advance()

    def show_patch(self, patch: PatchReport | None) -> None:
        """Show the curves of ``patch``; without curves, say how to get them."""
        if patch is not self.patch:
            self.patch = patch
            self._at.clear()
            if self.view not in self._views:
                self.view = "alpha"
            self.advance()

    def show_choice(self, points: Sequence[ChoicePoint]) -> None:
        """Show what a compilation has tried so far."""
        if points != self.points:
            self.points = points
            self._at.pop("choice", None)
            self.advance()

    def advance(self) -> None:
        """Show what came in since, when it is time for another drawing."""
        wait = self._may_draw_at - monotonic()
        if wait <= 0:
            self._redraw()
        elif self._timer is None and self.is_mounted:
            # Textual's own timer skips what it is late for: one of a microsecond may never fire.
            self._timer = get_running_loop().call_later(wait, self.call_next, self._redraw)

    def _redraw(self) -> None:
        self._timer = self._drawing = None
        self.refresh()  # costs nothing while the panel is hidden: then no line is asked for

    # What is shown.

    @property
    def _views(self) -> tuple[View, ...]:
        """What there is to plot, the present plot included."""
        return views(self.patch, bool(self.points) or self.view == "choice")

    def next_view(self) -> None:
        """Plot the next thing; after the last comes the first."""
        there = self._views
        self.view = there[(there.index(self.view) + 1) % len(there)]

    @property
    def is_of_patch(self) -> bool:
        """Whether a patch is plotted and no measurement."""
        return self.view in OF_PATCH

    def copied(self) -> str:
        """The present measure of every unit at the layers that have lines; of another plot, its lines as drawn."""
        if self.view != "measure":
            return "\n".join(self.drawing.line(y, self.cursor).text for y in range(self.size.height))
        return measure_copy(self.measured, self.measure, self._shown)

    @property
    def drawing(self) -> PlotDrawing | MultiplesDrawing:
        """The drawing, which is made again only if something in it changed."""
        size = (self.size.width, self.size.height)
        if self._drawing is None or self._drawing.size != size:
            began = monotonic()
            self._drawing = self._draw(size)
            ended = monotonic()
            self._may_draw_at = ended + max(INTERVAL, (ended - began) / SHARE)
            self.n_drawings += 1
        return self._drawing

    def _draw(self, size: tuple[int, int]) -> PlotDrawing | MultiplesDrawing:
        ink = plot_ink(self, self._glyphs)
        if self.view != "measure" or not self.multiples or not self.measured.layers:
            return PlotDrawing(self._figure(), size, ink)
        is_log, layer = self.is_log, self.shown_layer
        if self.multiples == "layers":
            figures, focus = layer_figures(self.measured, self.measure, self._shown, is_log, layer)
        else:
            figures, focus = measures_figures(self.measured, self.measure, is_log, layer)
        return MultiplesDrawing(figures, focus, size, ink, is_common=self.multiples == "layers")

    @property
    def _shown(self) -> tuple[int, ...]:
        """The layers that have lines."""
        return tuple(self.shown_layers) or self.measured.layers

    @property
    def cursor(self) -> int | None:
        """The position of the cursor in what is plotted."""
        if self.view in _OF_UNITS:
            return self.unit
        return self._at.get(self.view, self.drawing.figure.mark)

    def _figure(self) -> Figure:
        line = self._lines.get(self.view, 0)
        if self.view == "choice":
            return choice_figure(self.points, self.is_log, self.size.width, line)
        if self.is_of_patch:
            return curve_figure(self.patch, self.view, self.is_log, self.alpha, line)
        if self.view == "tokens":
            return tokens_figure(self.measured, self.is_log, self.size.width, line)
        of = (self.measured, self.measure, self._shown, self.is_log, self.shown_layer)
        figure = measure_figure(*of, self._other, self.pins)
        return (
            replace(figure, focus=line) if "measure" in self._lines and line < len(figure.series) else figure
        )

    # What the user does.

    def validate_unit(self, unit: int) -> int:
        """Accept any unit: the measurement that has it may be shown a moment later."""
        return unit

    def watch_unit(self, before: int, after: int) -> None:
        """Lay the cursor over the drawing elsewhere."""
        if self.view in _OF_UNITS:
            self._repaint(before, after)

    def _repaint(self, before: int | None, after: int | None) -> None:
        if self._drawing is None:
            self.refresh()
        else:
            self.refresh(*self._drawing.moved(before, after))

    def watch_shown_layer(self) -> None:
        """A layer that is chosen anywhere is the line in focus."""
        self._lines.pop("measure", None)

    def forget_lines(self) -> None:
        """Draw in other styles."""
        self._drawing = None

    def region_of(self, unit: int, layer: int) -> Region:  # noqa: ARG002
        """The unit's column."""
        return self.drawing.region_of(unit)

    def cell_at(self, offset: Offset) -> tuple[int, int] | None:
        """The unit, and the layer of the nearest line; nothing where no units are plotted."""
        at = self.drawing.position_at(offset)
        if at is None or self.view not in _OF_UNITS:
            return None
        line = self.drawing.line_at(offset) if self.view == "measure" else None
        layer = None if line is None else self._layer_of(line)
        return at, self.shown_layer if layer is None else layer

    def _layer_of(self, line: int) -> int | None:
        """The layer of a line, or of a panel."""
        drawing = self.drawing
        series = (
            drawing.figure.series[line]
            if isinstance(drawing, PlotDrawing)
            else drawing.figures[line].series[0]
        )
        return series.layer

    def action_move_cursor(self, step: int) -> None:
        """Move by so many units or points."""
        self._go_to((self.cursor or 0) + step)

    def action_move_first(self) -> None:
        """Move to the first unit or point."""
        self._go_to(0)

    def action_move_last(self) -> None:
        """Move to the newest unit, or the last point."""
        self._go_to(
            self.measured.last_unit if self.view in _OF_UNITS else self.drawing.figure.n_positions - 1
        )

    def _go_to(self, position: int) -> None:
        n = self.measured.n_units if self.view in _OF_UNITS else self.drawing.figure.n_positions
        position = max(0, min(position, n - 1))
        if self.view in _OF_UNITS:
            self.select(position, self.shown_layer)
        elif n:
            before, self._at[self.view] = self.cursor, position
            self._repaint(before, position)

    def action_move_line(self, step: int) -> None:
        """To another line: of the next layer, so that every pane shows it; or of what the plot has besides."""
        drawing = self.drawing
        if isinstance(drawing, MultiplesDrawing):
            layers = self._shown
            at = layers.index(self.shown_layer) if self.shown_layer in layers else 0
            self.select(self.unit, layers[max(0, min(at + step, len(layers) - 1))])
            return
        figure = drawing.figure
        n = min(len(figure.series), 2) if self.view == "choice" else len(figure.series)
        to = max(0, min(figure.focus + step, n - 1))
        if n and (layer := figure.series[to].layer) is not None:
            self._lines.pop("measure", None)
            self.select(self.unit, layer)
        else:
            self._lines[self.view] = to
        self._redraw()

    def action_next_multiples(self) -> None:
        """One plot, then a panel for each layer, then a panel for each measure."""
        self.view = "measure"
        self.multiples = _MULTIPLES[(_MULTIPLES.index(self.multiples) + 1) % len(_MULTIPLES)]

    def action_pin(self) -> None:
        """Keep the line in focus, or let it go where it is kept already."""
        if self.view != "measure" or not self.measured.layers:
            return
        of = measure_pin(self.measured, self.measure, self.shown_layer, self.run_name)
        if (line := self._lines.get("measure")) is not None:
            name = self._figure().series[line].name
            kept = tuple(pin for pin in self.pins if (pin.measure, pin.name) != (self.measure, name))
            self._lines.pop("measure")
        else:
            kept = tuple(pin for pin in self.pins if pin != of)
        self.pins = kept if len(kept) < len(self.pins) or line is not None else (*self.pins, of)
        self._redraw()

    # What is drawn.

    def render_line(self, y: int) -> Strip:
        """One line of the drawing, the cursor laid over it."""
        return self.drawing.line(y, self.cursor)

"""The plot panel: a measure by unit, the next tokens by unit, or a patch that is varied.

A :class:`.MeasuredUnits` enters through :meth:`PlotPanel.show`, beside it that of another run
to compare with, the report on a patch through :meth:`PlotPanel.show_patch`, and what a compilation has tried through
:meth:`PlotPanel.show_choice`; nothing leaves. A drawing can cost a
tenth of a second, so it is kept until something it shows changes, and changes are drawn at most three times a
second, more seldom if they cost more.
"""

from asyncio import TimerHandle, get_running_loop
from collections.abc import Sequence
from time import monotonic

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from icltui.tui.draw.clipboard_text import measure_copy
from icltui.tui.draw.colormap import needs_glyphs
from icltui.tui.draw.plotext_renderer import LINE_COLOURS, Figure, render_plot
from icltui.tui.draw.plots import (
    OF_PATCH,
    Overlay,
    View,
    choice_figure,
    curve_figure,
    measure_figure,
    tokens_figure,
    views,
)
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.values import ChoicePoint, PatchReport

INTERVAL = 1 / 3
"""Least seconds from one drawing to the next."""
SHARE = 0.2
"""The most of the time that goes into drawings."""


class PlotPanel(Widget, can_focus=True):
    """Lines over the units of a measurement, or over what is varied of a patch."""

    DEFAULT_CSS = """
    PlotPanel { height: 1fr; }
    """

    view: reactive[View] = reactive("measure", repaint=False)
    """What is plotted."""
    measure: reactive[str] = reactive("delta_norm", repaint=False)
    """The name of one of :data:`~icltui.report.measures.MEASURES`."""
    shown_layers: reactive[tuple[int, ...]] = reactive((), repaint=False)
    """The layers to choose lines from; all that were measured, if empty."""
    shown_layer: reactive[int] = reactive(0, repaint=False)
    """The layer of another run's line."""
    unit: reactive[int] = reactive(0, repaint=False)
    """The position of the vertical line."""
    alpha: reactive[float | None] = reactive(None, repaint=False)
    """Which strength the curve against α marks; None: the one that the varied patch has."""
    is_log: reactive[bool] = reactive(True, repaint=False)
    """Whether the scale is logarithmic, where the measure allows it."""
    glyphs: reactive[bool] = reactive(False, repaint=False)
    """Whether digits replace colours; chosen for the terminal when the panel is mounted."""

    def __init__(self, *, glyphs: bool | None = None, id: str | None = None) -> None:
        super().__init__(id=id)
        self.measured = MeasuredUnits()
        self.patch: PatchReport | None = None
        self.points: Sequence[ChoicePoint] = ()
        self._other: tuple[MeasuredUnits, str] | None = None
        self.n_drawings = 0
        """How many drawings were made so far."""
        self._glyphs_asked = glyphs
        self._drawn: Text = Text()
        self._drawn_of: tuple[object, ...] = ()
        self._may_draw_at = 0.0
        self._timer: TimerHandle | None = None
        self._has_begun = False

    def on_mount(self) -> None:
        """See what the terminal can do, and follow what is shown."""
        self.glyphs = needs_glyphs(self.app) if self._glyphs_asked is None else self._glyphs_asked
        for name in ("view", "measure", "shown_layers", "unit", "alpha", "is_log", "glyphs"):
            self.watch(self, name, self.advance, init=False)

    def show(self, measured: MeasuredUnits) -> None:
        """Show ``measured`` from now on."""
        self.measured = measured
        self._drawn_of = ()  # another measurement may have the same version
        self.advance()

    def compare(self, other: MeasuredUnits | None, label: str = "") -> None:
        """Add a line of ``other``, which the legend names ``label``; None removes it."""
        self._other = (other, label) if other else None
        self._drawn_of = ()
        self.advance()

    def show_patch(self, patch: PatchReport | None) -> None:
        """Show the curves of ``patch``; without curves, say how to get them."""
        if patch is not self.patch:
            self.patch = patch
            if self.view not in self._views:
                self.view = "alpha"
            self._drawn_of = ()
            self.advance()

    def show_choice(self, points: Sequence[ChoicePoint]) -> None:
        """Show what a compilation has tried so far."""
        if points != self.points:
            self.points = points
            self._drawn_of = ()
            self.advance()

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

    def watch_shown_layer(self) -> None:
        """Draw the other run's line of this layer."""
        if self._other:
            self.advance()

    def copied(self) -> str:
        """The present measure of every unit at the layers that may be drawn; of another plot, its lines as drawn."""
        if self.view != "measure":
            return self._drawn.plain
        return measure_copy(self.measured, self.measure, tuple(self.shown_layers) or self.measured.layers)

    def advance(self) -> None:
        """Show what came in since, when it is time for another drawing."""
        wait = self._may_draw_at - monotonic()
        if wait <= 0:
            self._redraw()
        elif self._timer is None and self.is_mounted:
            # Textual's own timer skips what it is late for: one of a microsecond may never fire.
            self._timer = get_running_loop().call_later(wait, self.call_next, self._redraw)

    def _redraw(self) -> None:
        self._timer = None
        self.refresh()  # costs nothing while the panel is hidden: then it is not rendered

    def on_show(self) -> None:
        """Show the last drawing first: a new one takes a tenth of a second, and follows."""
        self.call_after_refresh(self._begin)

    def on_hide(self) -> None:
        """Draw nothing while the panel is hidden."""
        self._has_begun = False

    def _begin(self) -> None:
        self._has_begun = True
        self.refresh()

    def render(self) -> Text:
        """The drawing, which is made again only if something in it changed."""
        if not self._has_begun:
            return self._drawn
        layers = tuple(self.shown_layers) or self.measured.layers
        of = (
            *(self.measured.version, self._other and (self._other[0].version, self.shown_layer)),
            *(self.size, self.view, self.measure, layers, self.unit, self.alpha, self.is_log, self.glyphs),
        )
        if of != self._drawn_of:
            began = monotonic()
            colours = () if self.glyphs else LINE_COLOURS
            self._drawn, self._drawn_of = render_plot(self._figure(layers), *self.size, colours), of
            ended = monotonic()
            self._may_draw_at = ended + max(INTERVAL, (ended - began) / SHARE)
            self.n_drawings += 1
        return self._drawn

    def _figure(self, layers: tuple[int, ...]) -> Figure:
        if self.view == "choice":
            return choice_figure(self.points, self.is_log, self.size.width)
        if self.is_of_patch:
            return curve_figure(self.patch, self.view, self.is_log, self.alpha)
        if self.view == "tokens":
            return tokens_figure(self.measured, self.is_log, self.unit, self.size.width)
        other = Overlay(*self._other, self.shown_layer) if self._other else None
        return measure_figure(self.measured, self.measure, layers, self.is_log, self.unit, other)

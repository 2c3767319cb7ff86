"""The plot panel: one measure over the units, a line for each of a few layers.

A :class:`~icltui.tui.board.Board` enters through :meth:`PlotPanel.show`; nothing leaves. A drawing can cost a
tenth of a second, so it is kept until something it shows changes, and changes are drawn at most three times a
second, more seldom if they cost more.
"""

from collections.abc import Sequence
from time import monotonic

from rich.text import Text
from textual.reactive import reactive
from textual.timer import Timer
from textual.widget import Widget

from icltui.tui.board import Board
from icltui.tui.measures import MEASURES
from icltui.tui.plot import LINE_COLOURS, render_plot
from icltui.tui.ramp import needs_glyphs

N_LINES = 6
"""More lines than this cannot be told apart."""
INTERVAL = 1 / 3
"""Least seconds from one drawing to the next."""
SHARE = 0.2
"""The most of the time that goes into drawings."""


def chosen(layers: Sequence[int], n: int = N_LINES) -> tuple[int, ...]:
    """At most ``n`` of ``layers``, evenly spread from the first to the last.

    >>> chosen(range(24))
    (0, 5, 9, 14, 18, 23)
    """
    if len(layers) <= n:
        return tuple(layers)
    return tuple(layers[round(place * (len(layers) - 1) / (n - 1))] for place in range(n))


class PlotPanel(Widget, can_focus=True):
    """Lines over the units of a board."""

    DEFAULT_CSS = """
    PlotPanel { height: 1fr; }
    """

    measure: reactive[str] = reactive("delta_norm", repaint=False)
    """The name of one of :data:`~icltui.tui.measures.MEASURES`."""
    shown_layers: reactive[tuple[int, ...]] = reactive((), repaint=False)
    """The layers to choose lines from; all that were measured, if empty."""
    unit: reactive[int] = reactive(0, repaint=False)
    """Where the vertical line stands."""
    is_log: reactive[bool] = reactive(False, repaint=False)
    """Whether the scale is logarithmic, where the measure allows it."""
    glyphs: reactive[bool] = reactive(False, repaint=False)
    """Whether digits stand for colours; chosen for the terminal when the panel is mounted."""

    def __init__(
        self,
        *,
        glyphs: bool | None = None,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.board = Board()
        self.n_drawings = 0
        """How many drawings were made so far."""
        self._glyphs_asked = glyphs
        self._drawn: Text = Text()
        self._drawn_of: tuple[object, ...] = ()
        self._may_draw_at = 0.0
        self._timer: Timer | None = None

    def on_mount(self) -> None:
        """See what the terminal can do."""
        self.glyphs = needs_glyphs(self.app) if self._glyphs_asked is None else self._glyphs_asked

    def show(self, board: Board) -> None:
        """Show ``board`` from now on."""
        self.board = board
        self._drawn_of = ()  # another board may have the same version
        self._redraw_soon()

    def advance(self) -> None:
        """Show what came in since, when it is time for another drawing."""
        self._redraw_soon()

    def watch_measure(self) -> None:
        """Draw other numbers."""
        self._redraw_soon()

    def watch_shown_layers(self) -> None:
        """Draw other lines."""
        self._redraw_soon()

    def watch_unit(self) -> None:
        """Draw the vertical line elsewhere."""
        self._redraw_soon()

    def watch_is_log(self) -> None:
        """Draw on the other scale."""
        self._redraw_soon()

    def watch_glyphs(self) -> None:
        """Draw with other marks."""
        self._redraw_soon()

    def _redraw_soon(self) -> None:
        wait = self._may_draw_at - monotonic()
        if wait <= 0:
            self._redraw()
        elif self._timer is None and self.is_mounted:
            self._timer = self.set_timer(wait, self._redraw)

    def _redraw(self) -> None:
        self._timer = None
        self.refresh()  # costs nothing while the panel is hidden: then it is not rendered

    def render(self) -> Text:
        """The drawing, made anew only if something in it changed."""
        layers = tuple(self.shown_layers) or self.board.layers
        of = (self.board.version, self.size, self.measure, layers, self.unit, self.is_log, self.glyphs)
        if of != self._drawn_of:
            began = monotonic()
            self._drawn, self._drawn_of = self._draw(layers), of
            ended = monotonic()
            self._may_draw_at = ended + max(INTERVAL, (ended - began) / SHARE)
            self.n_drawings += 1
        return self._drawn

    def _draw(self, layers: tuple[int, ...]) -> Text:
        measure, lines = MEASURES[self.measure], chosen(layers)
        log = self.is_log and measure.log
        words = measure.meaning(self.board.dynamics)[0]
        some = f", {len(lines)} of {len(layers)} layers" if len(lines) < len(layers) else ""
        return render_plot(
            [(f"L{layer}", self.board.series(self.measure, layer)) for layer in lines],
            *self.size,
            log=log,
            cursor=self.unit if self.board.n_units else None,
            title=f"{measure.title} by unit{', log scale' if log else ''}{some}: {words}".rstrip(": "),
            colours=() if self.glyphs else LINE_COLOURS,
        )

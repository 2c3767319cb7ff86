"""The tab of loss curves: the score in a line, and below it one plot at a time, with a cursor on a position."""

from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from icltui.tui.draw.loss_plots import LOSS_VIEWS, NOTHING, LossView, loss_figure, losses_copy, score_lines
from icltui.tui.draw.plot_drawing import PlotDrawing
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.plot_ink import PLOT_CLASSES, PLOT_CSS, plot_ink
from icltui.values import LossCurves


class LossPlots(Widget, can_focus=True):
    """The curves of one text."""

    COMPONENT_CLASSES: ClassVar[set[str]] = PLOT_CLASSES
    DEFAULT_CSS = f"LossPlots {{ height: 1fr; {PLOT_CSS} }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("loss.left", "h,left", "move(-1)", "Position left", "To the position before"),
        key_binding("loss.right", "l,right", "move(1)", "Position right", "To the next position"),
        key_binding("loss.down", "j,down", "move_line(1)", "Next line", "To the next line"),
        key_binding("loss.up", "k,up", "move_line(-1)", "Line before", "To the line before"),
        key_binding("loss.page_down", "ctrl+d,pagedown", "move(10)", "Ten right", "Ten positions further"),
        key_binding("loss.page_up", "ctrl+u,pageup", "move(-10)", "Ten left", "Ten positions back"),
        key_binding("loss.first", "g,home", "move(-1000000)", "First position", "To the first position"),
        key_binding("loss.last", "G,end", "move(1000000)", "Last position", "To the last position"),
    ]

    view: reactive[LossView] = reactive("loss")
    position: reactive[int] = reactive(0, repaint=False)
    """The index of the cursor's position."""
    line: reactive[int] = reactive(0)
    """The line in focus."""

    def __init__(self, *, glyphs: bool | None = None, id: str) -> None:
        super().__init__(id=id)
        self.curves: LossCurves | None = None
        self._glyphs = glyphs
        self._drawn: tuple[object, PlotDrawing] | None = None

    def show(self, curves: LossCurves | None) -> None:
        """Show these curves, the cursor at their last position."""
        if curves is not self.curves:
            self.curves = curves
            self.position = len(curves.loss) - 1 if curves else 0
            self.refresh()

    def validate_position(self, position: int) -> int:
        """The nearest one there is."""
        return max(0, min(position, len(self.curves.loss) - 1 if self.curves else 0))

    def next_view(self) -> None:
        """Plot the next thing; after the last comes the first."""
        self.view = LOSS_VIEWS[(LOSS_VIEWS.index(self.view) + 1) % len(LOSS_VIEWS)]

    def action_move(self, positions: int) -> None:
        """Move the cursor by so many positions."""
        self.position += positions

    def copied(self) -> str:
        """Every position with its numbers."""
        return losses_copy(self.curves) if self.curves else ""

    def action_move_line(self, step: int) -> None:
        """Make the next line the bright one."""
        if self.curves:
            n = len(loss_figure(self.curves, self.view).series)
            self.line = max(0, min(min(self.line, n - 1) + step, n - 1))

    def watch_position(self, before: int, after: int) -> None:
        """Lay the cursor over the plot elsewhere."""
        if self._drawn is None:
            self.refresh()
        else:
            moved = (region.translate((0, self._above)) for region in self._drawn[1].moved(before, after))
            self.refresh(*(region.intersection(Region(0, 0, *self.size)) for region in moved))

    def notify_style_update(self) -> None:
        """Follow another theme."""
        self._drawn = None
        super().notify_style_update()

    @property
    def _scores(self) -> list[str]:
        width, height = self.size
        return score_lines(self.curves, width)[: max(height // 4, 2)] if self.curves else []

    @property
    def _above(self) -> int:
        """Lines above the plot."""
        return len(self._scores)

    def render_line(self, y: int) -> Strip:
        """The score, and the plot below it."""
        width, base = self.size.width, self.rich_style
        if self.curves is None or not self.curves.loss:
            lines = NOTHING.split("\n")
        elif y >= (above := self._above):
            return self._plot(above).line(y - above, self.position)
        else:
            lines = self._scores
        return Strip([Segment(lines[y] if y < len(lines) else "", base)]).adjust_cell_length(width, base)

    def _plot(self, above: int) -> PlotDrawing:
        """The plot, drawn again only if something in it changed."""
        assert self.curves is not None
        size = (self.size.width, max(self.size.height - above, 1))
        of = self.curves, size, self.view, self.line
        if self._drawn is None or of != self._drawn[0]:
            figure = loss_figure(self.curves, self.view, self.line)
            self._drawn = of, PlotDrawing(figure, size, plot_ink(self, self._glyphs))
        return self._drawn[1]

"""The tab of loss curves: the score in a line, and below it one plot at a time, with a cursor on a position."""

from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.reactive import reactive
from textual.widget import Widget

from icltui.tui.draw.colormap import needs_glyphs
from icltui.tui.draw.loss_plots import LOSS_VIEWS, NOTHING, LossView, loss_figure, losses_copy, score_lines
from icltui.tui.draw.plotext_renderer import LINE_COLOURS, fitted, render_plot
from icltui.tui.widgets.bindings import key_binding
from icltui.values import LossCurves


class LossPlots(Widget, can_focus=True):
    """The curves of one text."""

    DEFAULT_CSS = "LossPlots { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("loss.left", "h,left", "move(-1)", "Position left", "To the position before"),
        key_binding("loss.right", "l,right", "move(1)", "Position right", "To the next position"),
        key_binding("loss.down", "j,down", "move(10)", "Ten right", "Ten positions further"),
        key_binding("loss.up", "k,up", "move(-10)", "Ten left", "Ten positions back"),
        key_binding("loss.first", "g,home", "move(-1000000)", "First position", "To the first position"),
        key_binding("loss.last", "G,end", "move(1000000)", "Last position", "To the last position"),
    ]

    view: reactive[LossView] = reactive("loss")
    position: reactive[int] = reactive(0)
    """The index of the cursor's position."""

    def __init__(self, *, glyphs: bool | None = None, id: str) -> None:
        super().__init__(id=id)
        self.curves: LossCurves | None = None
        self._glyphs = glyphs
        self._drawn: tuple[object, Text] = (None, Text())

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

    def render(self) -> Text:
        """The score and the plot, drawn again only if something in them changed."""
        width, height = self.size
        if self.curves is None or not self.curves.loss:
            return fitted([Text(line) for line in NOTHING.split("\n")], width, height)
        of = self.curves, self.size, self.view, self.position
        if of != self._drawn[0]:
            glyphs = needs_glyphs(self.app) if self._glyphs is None else self._glyphs
            figure = loss_figure(self.curves, self.view, self.position)
            above = [Text(line) for line in score_lines(self.curves, width)][: max(height // 4, 2)]
            plot = render_plot(figure, width, max(height - len(above), 1), () if glyphs else LINE_COLOURS)
            self._drawn = of, Text("\n").join([fitted(above, width, len(above)), plot])
        return self._drawn[1]

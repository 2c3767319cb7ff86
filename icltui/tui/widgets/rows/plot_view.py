"""The plot of a column, drawn again only when what it shows changes."""

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from icltui.tui.draw.colormap import needs_glyphs
from icltui.tui.draw.column_plots import ColumnPlot, draw_plot
from icltui.tui.draw.plotext_renderer import LINE_COLOURS


class PlotView(Widget):
    """One plot, or nothing."""

    DEFAULT_CSS = "PlotView { height: 1fr; }"

    plot: reactive[ColumnPlot | None] = reactive(None)

    def __init__(self, *, glyphs: bool | None = None, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyphs
        self._drawn: tuple[object, Text] = (None, Text())

    def render(self) -> Text:
        """The drawing; it is kept, since Textual asks for it often."""
        if self.plot is None:
            return Text()
        of = self.plot, self.size, self.app.native_ansi_color
        if of != self._drawn[0]:
            glyphs = needs_glyphs(self.app) if self._glyphs is None else self._glyphs
            self._drawn = of, draw_plot(self.plot, *self.size, () if glyphs else LINE_COLOURS)
        return self._drawn[1]

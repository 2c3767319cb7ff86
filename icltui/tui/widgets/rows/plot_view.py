"""The plot of a column, drawn again only when what it shows changes."""

from typing import ClassVar

from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from icltui.tui.draw.column_plots import ColumnPlot, draw_plot
from icltui.tui.widgets.plot_ink import PLOT_CLASSES, PLOT_CSS, plot_ink


class PlotView(Widget):
    """One plot, or nothing."""

    COMPONENT_CLASSES: ClassVar[set[str]] = PLOT_CLASSES
    DEFAULT_CSS = f"PlotView {{ height: 1fr; {PLOT_CSS} }}"

    plot: reactive[ColumnPlot | None] = reactive(None)

    def __init__(self, *, glyphs: bool | None = None, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyphs
        self._drawn: tuple[object, list[Strip]] = (None, [])

    def notify_style_update(self) -> None:
        """Follow another theme."""
        self._drawn = (None, [])
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """A line of the drawing, which is kept, since Textual asks for it often."""
        width, height = self.size
        if self.plot is not None and (of := (self.plot, self.size)) != self._drawn[0]:
            self._drawn = of, draw_plot(self.plot, width, height, plot_ink(self, self._glyphs))
        lines = self._drawn[1] if self.plot is not None else []
        return lines[y] if y < len(lines) else Strip.blank(width, self.rich_style)

"""The run under the tree's cursor, at a glance."""

from typing import ClassVar

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from icltui.tui.draw.colormap import ramp
from icltui.tui.draw.run_lines import RunLine
from icltui.tui.draw.run_preview_lines import Line, PreviewStyles, preview_lines


class RunPreview(Widget):
    """Its lines are made when the run or the width is another one."""

    DEFAULT_CSS = """
    RunPreview {
        & > .run-preview--muted { color: $text-muted; }
        & > .run-preview--strong { text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"run-preview--muted", "run-preview--strong"}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._line: RunLine | None = None
        self._drawn: list[Line] | None = None

    def show(self, line: RunLine | None) -> None:
        """Show another run, or none."""
        if line != self._line:
            self._line, self._drawn = line, None
            self.refresh()

    def on_resize(self) -> None:
        """Wrap to the new width."""
        self._drawn = None

    def notify_style_update(self) -> None:
        """Take the colours of another theme."""
        self._drawn = None
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """One line of the run."""
        if self._drawn is None:
            self._drawn = self._made()
        segments: list[Segment] = self._drawn[y] if y < len(self._drawn) else []
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def _made(self) -> list[Line]:
        return preview_lines(self._line, *self.size, self._styles()) if self._line else []

    def _styles(self) -> PreviewStyles:
        return PreviewStyles(
            base=self.rich_style,
            muted=self.get_component_rich_style("run-preview--muted"),
            strong=self.get_component_rich_style("run-preview--strong"),
            ramp=ramp(self.app),
        )

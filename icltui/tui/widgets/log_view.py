"""The log: starts, failures, and the last lines of an engine that died, each with its time."""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from icltui.text.escape import visible
from icltui.tui.draw.safe_text import display
from icltui.tui.draw.wrap import wrap_units
from icltui.tui.state.log_lines import TimedLines
from icltui.tui.widgets.vim_scroll import VimScroll

MOST_LINES = 2000
"""Earlier lines are not shown."""
_MARKED = Style(reverse=True)
_CLOCK = 9
"""Cells of a line's time and the blank after it."""
_NARROWEST = 40
"""Cells of a pane that has room for times."""


class LogView(ScrollView, VimScroll, can_focus=True):
    """The explorer's log, wrapped to the width it is seen at. One row can be marked as the match."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"log-view--time"}
    DEFAULT_CSS = """
    LogView {
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .log-view--time { color: $text-muted; }
    }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._told = TimedLines()
        self._rows: list[tuple[str, str]] = []
        """The time, of a line's first row, and the text."""
        self._n_wrapped = 0
        self._wrapped_to = 0
        self._marked: int | None = None

    def show(self, lines: TimedLines) -> None:
        """Show ``lines``, a log of which an earlier part may be shown already."""
        if lines is not self._told:
            self._told, self._wrapped_to = lines, 0
        self._lay_out()

    def on_resize(self) -> None:
        """Wrap to the width: a pane that is hidden has none."""
        self._lay_out()

    def copied(self) -> str:
        """Every line with its time, as plain text."""
        told = self._told
        return "".join(f"{told.clock(at)} {visible(line)}\n" for at, line in enumerate(told))

    @property
    def rows(self) -> list[str]:
        """The wrapped lines, without their times."""
        return [text for _, text in self._rows]

    @property
    def row(self) -> int:
        """The marked row, else the first visible row."""
        return self.scroll_offset.y if self._marked is None else self._marked

    def mark(self, row: int | None, top: int | None) -> None:
        """Mark ``row``, or none, and scroll to ``top``."""
        self._marked = row
        if top is not None:
            self.scroll_to(y=top - (self.size.height // 2 if row is not None else 0), animate=False)
        self.refresh()

    def _lay_out(self) -> None:
        """Wrap what is new; all of it again at another width."""
        width = self.scrollable_content_region.width
        if width < 1:
            return  # done when it is shown
        if width != self._wrapped_to or len(self._told) < self._n_wrapped:
            self._wrapped_to, self._n_wrapped, self._rows = width, max(0, len(self._told) - MOST_LINES), []
        elif len(self._told) == self._n_wrapped:
            return
        was_at_end = self.scroll_offset.y >= self.max_scroll_y
        for at in range(self._n_wrapped, len(self._told)):
            self._rows += self._wrap(at, width)
        self._n_wrapped = len(self._told)
        self.virtual_size = Size(1, len(self._rows))
        if was_at_end and self._marked is None:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True, immediate=True)
        self.refresh()

    def _wrap(self, at: int, width: int) -> list[tuple[str, str]]:
        """The rows of one line; the time is in its first row."""
        clock = self._told.clock(at) if width >= _NARROWEST else ""
        # The wrapping leaves the last cell to a space.
        lines = wrap_units([(at, display(self._told[at]))], width - (_CLOCK if clock else 0) + 1).lines
        texts = ["".join(piece.text for piece in line) for line in lines]
        return [(clock if row == 0 else "", text) for row, text in enumerate(texts)]

    def render_line(self, y: int) -> Strip:
        row, width, base = self.scroll_offset.y + y, self.scrollable_content_region.width, self.rich_style
        if row >= len(self._rows):
            return Strip.blank(width, base)
        clock, text = self._rows[row]
        margin = clock.ljust(_CLOCK) if width >= _NARROWEST else ""
        style = self.get_component_rich_style("log-view--time")
        strip = Strip([Segment(margin, style), Segment(text, base)]).adjust_cell_length(width, base)
        return strip.apply_style(_MARKED) if row == self._marked else strip

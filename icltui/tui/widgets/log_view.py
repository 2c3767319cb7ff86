"""The log: starts, failures, and the last lines of an engine that died."""

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.strip import Strip
from textual.widgets import RichLog

from icltui.text.escape import visible
from icltui.tui.draw.safe_text import display
from icltui.tui.widgets.vim_scroll import VimScroll

_MARKED = Style(reverse=True)


class LogView(RichLog, VimScroll, can_focus=True):
    """The explorer's log, to which only new lines are written. One row can be marked as the match."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, max_lines=2000, min_width=1, wrap=True, markup=False, highlight=False)
        self._n_shown = 0
        self._told: Sequence[str] = ()
        self._marked: int | None = None

    def show(self, lines: Sequence[str]) -> None:
        """Write the lines that are new in ``lines``."""
        for line in lines[self._n_shown :]:
            self.write(Text(display(line)))
        self._n_shown, self._told = len(lines), lines

    def copied(self) -> str:
        """Every line, as plain text."""
        return "".join(f"{visible(line)}\n" for line in self._told)

    @property
    def rows(self) -> list[str]:
        """The wrapped lines."""
        return [strip.text for strip in self.lines]

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

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        return strip.apply_style(_MARKED) if self.scroll_offset.y + y == self._marked else strip

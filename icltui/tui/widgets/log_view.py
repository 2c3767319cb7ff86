"""What happened, line by line: starts, failures, and the tail of a dead engine's log."""

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import RichLog

from icltui.tui.cells import display
from icltui.visible import visible


class LogView(RichLog, can_focus=True):
    """The explorer's log; only new lines are written."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, max_lines=2000, min_width=1, wrap=True, markup=False, highlight=False)
        self._n_shown = 0
        self._told: Sequence[str] = ()

    def show(self, lines: Sequence[str]) -> None:
        """Add those of ``lines`` that are not there yet."""
        for line in lines[self._n_shown :]:
            self.write(Text(display(line)))
        self._n_shown, self._told = len(lines), lines

    def copied(self) -> str:
        """Every line."""
        return "".join(f"{visible(line)}\n" for line in self._told)

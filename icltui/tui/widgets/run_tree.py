"""The tree of runs: one line each, a cursor, marks for two of them, and a word that is searched for."""

from typing import ClassVar

from icltui.tui.draw.exam_lines import Cells
from icltui.tui.draw.run_lines import RunLine, cells, found, header, run_lines
from icltui.tui.state.history import History
from icltui.tui.widgets.row_table import RowTable
from icltui.values import Run

MOST_MARKED = 2


class RunTree(RowTable):
    """The runs of a session, line by line."""

    DEFAULT_CSS = """
    RunTree > .row-table--mark { color: $accent; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"row-table--mark"}

    def __init__(self, history: History, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.history, self.pattern = history, ""
        self.marked: list[int] = []
        """The numbers of the marked runs, the one marked last at the end."""
        self.lines: list[RunLine] = run_lines(history)

    @property
    def run_at_cursor(self) -> Run | None:
        """The run under the cursor."""
        return self.lines[self.row].run if 0 <= self.row < len(self.lines) else None

    def begin_at(self, number: int | None) -> None:
        """Put the cursor on a run."""
        self.virtual_size = self.virtual_size.with_height(len(self.lines) + 1)
        self.row = found(self.lines, number)

    def show(self, history: History, pattern: str) -> None:
        """Show these runs, the cursor on the run that it was on."""
        run = self.run_at_cursor
        self.history, self.pattern = history, pattern
        self.lines = run_lines(history, pattern)
        known = {one.number for one in history.runs}
        self.marked = [number for number in self.marked if number in known]
        at = found(self.lines, run.number) if run else 0
        self.lay_out()
        self.row = at if run and run.number in known else self.row
        self.post_message(self.RowChanged(self))

    def mark(self) -> None:
        """Mark the run under the cursor, or no more; the first of two gives way to a third."""
        if (run := self.run_at_cursor) is None:
            return
        if run.number in self.marked:
            self.marked.remove(run.number)
        else:
            self.marked = [*self.marked, run.number][-MOST_MARKED:]
        self.refresh()

    @property
    def n_rows(self) -> int:
        """One for each run."""
        return len(self.lines)

    def header_at(self, width: int) -> str:
        """The names of the columns."""
        return header(width)

    def cells_at(self, row: int, width: int) -> Cells:
        """One run."""
        line = self.lines[row]
        number = line.run.number
        return cells(line, width, number == self.history.at, number in self.marked)

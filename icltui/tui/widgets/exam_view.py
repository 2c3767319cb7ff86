"""The exam: patches of the context above, and below them the answers of the patch under the cursor."""

from collections.abc import Sequence

from textual import on
from textual.containers import Vertical
from textual.content import Content
from textual.events import DescendantFocus
from textual.widgets import Static

from icltui.tui.draw.exam_lines import (
    NOTHING,
    Cells,
    TableColumn,
    answer_columns,
    answers_copy,
    cells,
    header,
    patch_columns,
    patches_copy,
)
from icltui.tui.draw.safe_text import fit
from icltui.tui.state.exam_table import AnswerLine, PatchLine
from icltui.tui.widgets.row_table import RowTable


class PatchTable(RowTable):
    """A row for each patch."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.lines: Sequence[PatchLine] = ()

    @property
    def n_rows(self) -> int:
        return len(self.lines)

    def header_at(self, width: int) -> str:
        return header(patch_columns(width))

    def cells_at(self, row: int, width: int) -> Cells:
        line, columns = self.lines[row], patch_columns(width)
        if not line.reason:
            return cells(columns, line)
        title = columns[0].width
        return [(fit(line.title, title) + " ", ""), (fit(line.reason, max(width - title - 1, 0)), "quiet")]

    def copied(self) -> str:
        """Every patch with its numbers."""
        return patches_copy(self.lines)


class AnswerTable(RowTable):
    """A row for each query."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.lines: Sequence[AnswerLine] = ()
        self._has_answers = self._has_fitted = False

    def show(self, lines: Sequence[AnswerLine]) -> None:
        """Show these answers, the cursor at the query that it was at."""
        self.lines = lines
        self._has_answers = any(line.answer for line in lines)
        self._has_fitted = any(line.is_fitted for line in lines)
        self.lay_out()

    @property
    def n_rows(self) -> int:
        return len(self.lines)

    def _columns(self, width: int) -> tuple[TableColumn[AnswerLine], ...]:
        return answer_columns(width, self._has_answers, self._has_fitted)

    def header_at(self, width: int) -> str:
        return header(self._columns(width))

    def cells_at(self, row: int, width: int) -> Cells:
        return cells(self._columns(width), self.lines[row])

    def copied(self) -> str:
        """Every answer."""
        return answers_copy(self.lines)

    # What the search asks for.

    @property
    def rows(self) -> list[str]:
        """The texts of the rows."""
        return [f"{line.query} {line.context} {line.patched} {line.plain}" for line in self.lines]

    def mark(self, row: int | None, top: int | None) -> None:
        """Move the cursor to the match ``row``, without one to ``top``."""
        if (place := top if row is None else row) is not None:
            self.row = place


class ExamView(Vertical):
    """Both tables, or what makes an exam."""

    DEFAULT_CSS = """
    ExamView {
        & > .exam--nothing { padding: 0 1; height: auto; }
        & > PatchTable { height: auto; max-height: 50%; }
        & > AnswerTable { height: 1fr; margin-top: 1; }
    }
    """

    def __init__(self, *, id: str) -> None:
        self.patches, self.answers = PatchTable(id=f"{id}-patches"), AnswerTable(id=f"{id}-answers")
        self._nothing = Static(Content(NOTHING), classes="exam--nothing")
        super().__init__(self._nothing, self.patches, self.answers, id=id)  # at once: a table gets the focus
        self.focused_table: RowTable = self.patches
        """The table that had the focus last."""

    def on_mount(self) -> None:
        """Say what to do while there is nothing."""
        self._show_what_there_is()

    def show(self, lines: Sequence[PatchLine]) -> None:
        """Show these patches."""
        self.patches.lines = lines
        self.patches.lay_out()
        self._show_answers()
        self._show_what_there_is()

    def _show_what_there_is(self) -> None:
        is_there = bool(self.patches.lines)
        self._nothing.display = not is_there
        self.answers.display = is_there

    def _show_answers(self) -> None:
        lines = self.patches.lines
        answers = lines[self.patches.row].answers if lines else ()
        if answers is not self.answers.lines:
            self.answers.show(answers)

    @on(RowTable.RowChanged)
    def follow_patch(self, event: RowTable.RowChanged) -> None:
        """Show the answers of the patch under the cursor."""
        event.stop()
        if event.table is self.patches:
            self._show_answers()

    @on(DescendantFocus)
    def note_table(self, event: DescendantFocus) -> None:
        """Come back to the same table."""
        if isinstance(event.widget, RowTable):
            self.focused_table = event.widget

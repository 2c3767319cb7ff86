"""The screen on a folder of rows: a table of them, a plot of a column, and a filter; a row opens in the explorer below.

Reading, filtering, sorting and grouping run on a thread; the screen shows the last rows until the next are there.
"""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Event
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from icltui.text.escape import token_text
from icltui.text.spreadsheet import write_tsv
from icltui.tui.actions import ROW_BINDINGS
from icltui.tui.dialogs.dialog import opens_in_vain
from icltui.tui.dialogs.row_texts import RowTextDialog, SummaryPage, fields_of, help_parts
from icltui.tui.draw.column_plots import ColumnPlot
from icltui.tui.draw.row_cells import field_text
from icltui.tui.draw.safe_text import display, fit
from icltui.tui.main.latest_call import LatestCall
from icltui.tui.state.rows.grid import GroupsGrid, RowsGrid
from icltui.tui.state.rows.loaded_rows import LoadedRows, load_rows
from icltui.tui.state.rows.row_session import session_of
from icltui.tui.state.rows.rows_view import RowsQuery, RowsView, rows_view
from icltui.tui.terminal.osc52 import LIMIT, encoded_size
from icltui.tui.terminal.sure_repaint import SureRepaint
from icltui.tui.widgets.bordered import Bordered
from icltui.tui.widgets.find_bar import FindBar
from icltui.tui.widgets.footer import KeyFooter
from icltui.tui.widgets.row_table import RowTable
from icltui.tui.widgets.rows.grid_table import GridTable
from icltui.tui.widgets.rows.plot_view import PlotView
from icltui.values import Session
from icltui.values.errors import IcltuiError

"""The name under which the application keeps the screen, so that it is found as it was left."""
_READING = "Reading the rows …"
_PLACEHOLDER = "kl_plain > 1 · tags:capital · a word · enter keeps it, esc goes back"
_MOST_PLACES = 100
"""Tables that esc leads back to."""


class RowsPane(Vertical, Bordered):
    """The table, and below it the plot while there is one."""

    DEFAULT_CSS = """
    RowsPane {
        height: 1fr;
        &:focus-within { border: heavy $accent; }
        & > GridTable { height: 1fr; background: $background; }
        & > PlotView { height: 1fr; display: none; }
        &.-plot > GridTable { height: 7; max-height: 30%; }
        &.-plot > PlotView { display: block; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="rows-pane", classes="pane")
        self.table, self.plot = GridTable(id="rows-table"), PlotView(id="rows-plot")

    def compose(self) -> ComposeResult:
        yield self.table
        yield self.plot

    @property
    def is_plotting(self) -> bool:
        """Whether the plot is shown."""
        return self.has_class("-plot")


class RowsScreen(SureRepaint, Screen[None]):
    """The rows of one folder."""

    BINDINGS: ClassVar[list[BindingType]] = ROW_BINDINGS
    AUTO_FOCUS = "GridTable"
    ESCAPE_TO_MINIMIZE = False

    class Opened(Message):
        """The user opened a row."""

        def __init__(self, row: dict[str, object], session: Session) -> None:
            super().__init__()
            self.row, self.session = row, session

    class Left(Message):
        """The user wants to see the explorer below."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.rows: LoadedRows | None = None
        self.view: RowsView | None = None
        self.asked = RowsQuery()
        """The newest query; ``view`` follows."""
        self.axis = ""
        """The column of the x axis of scatters."""
        self.is_log = False
        self.trouble = ""
        """Why the rows could not be read."""
        self._before_filter = ""
        self._is_filter_closing = False
        self._places: list[tuple[RowsQuery, int, str]] = []
        """Query, line and column of each table from which a group was opened."""
        self._wanted: tuple[int | None, int, str] = (None, 0, "")
        """The folder's row to go to in the next view, else the line; and the column."""
        self.pane = RowsPane()
        self.table = self.pane.table
        self.filter_bar = FindBar(_PLACEHOLDER)
        self.status = Static("", id="status", markup=False)
        self._loading = LatestCall(self, load_rows, self._take_rows, self._tell_trouble)
        self._viewing = LatestCall(self, _view_of, self._take_view, self._tell_refusal)

    def compose(self) -> ComposeResult:
        yield self.status
        yield self.pane
        yield KeyFooter()
        yield self.filter_bar

    async def on_event(self, event: Event) -> None:
        """Open no more once the program is to end."""
        if not opens_in_vain(self, event):
            await super().on_event(event)

    def on_mount(self) -> None:
        """Read the folder."""
        self.action_reload_rows()

    def on_resize(self) -> None:
        """Fit the line at the top."""
        self.draw()

    @property
    def is_busy(self) -> bool:
        """Whether rows are still to come."""
        return self._loading.is_awaited or self._viewing.is_awaited

    # Reading.

    def action_reload_rows(self) -> None:
        """Read the folder again."""
        self._loading.ask(self.folder)
        self.draw()

    def _take_rows(self, rows: LoadedRows) -> None:
        before, at = self.rows, self._row_at()
        self.rows, self.trouble = rows, ""
        if before:
            self._tell(f"{rows.n_rows:,} rows, {rows.n_rows - before.n_rows:+,}")
        elif rows.note:
            self._tell(f"{rows.note}: what a column means may differ")
        self._ask(
            self.asked, rows.row_like(before, at) if before and at is not None else None, self.table.row
        )

    def _tell_trouble(self, error: Exception) -> None:
        line = str(error) if isinstance(error, IcltuiError) else f"cannot read {self.folder}: {error}"
        self.trouble = display(line)
        if self.rows:
            self._tell(f"{line}; the rows that were read before stay", is_error=True)
        self.draw()

    def _ask(self, query: RowsQuery, row: int | None = None, line: int = 0, column: str = "") -> None:
        """Show what ``query`` asks for, the cursor at the folder's ``row``, else at ``line``."""
        self.asked = query
        self._wanted = (row, line, column or self.table.column_name)
        if self.rows:
            self._viewing.ask((self.rows, query))

    def _take_view(self, view: RowsView) -> None:
        row, line, column = self._wanted
        self.view = view
        grid = GroupsGrid(view.groups) if view.groups else RowsGrid(view)
        self.table.show(grid, self._marks(), self._nothing())
        self.table.go_to_column(column)
        place = view.place_of(row) if row is not None and not view.groups else None
        self.table.row = line if place is None else place
        self.filter_bar.show_count(self._counted())
        if self._is_filter_closing:
            self._close_filter()
        self.draw()

    def _tell_refusal(self, error: Exception) -> None:
        if self.filter_bar.display:
            self._is_filter_closing = False
            self.filter_bar.show_count(display(str(error)))
            return
        self._tell(str(error), is_error=True)
        if self.view and self.view.rows is self.rows:
            self.asked = self.view.query
        else:  # what was asked of other rows
            self._ask(RowsQuery())
        self.draw()

    # What is drawn.

    def draw(self) -> None:
        """Draw everything that says what is shown."""
        self.status.update(self._status())
        if self.view is None:
            self.table.show(None, {}, self.trouble or _READING)
        self.pane.frame(display(self.asked.words()) or "Rows", self._remark())
        self._draw_plot()

    def _status(self) -> Content:
        doing = "◌ reading" if self._loading.is_awaited else ("✗ not read" if self.trouble else "○ ready")
        right = f"{self._counted()}   {doing} "
        kind = f"   {self.rows.record.kind}" if self.rows else ""
        left = fit(f"{self.folder}{kind}", max(self.size.width - len(right) - 12, 0))
        return Content.assemble((" icltui   ", "bold $text-accent"), left, "  ", (right, "bold"))

    def _counted(self) -> str:
        if self.view is None:
            return ""
        shown, n = self.view.n_shown, self.view.rows.n_rows
        return f"{shown:,} of {n:,} rows" if shown != n else f"{n:,} row{'' if n == 1 else 's'}"

    def _remark(self) -> str:
        if self.view is None or not self.table.n_rows:
            return ""
        kind = "group" if self.view.groups else "row"
        axis = f" · x axis {display(self.axis)}" if self.axis else ""
        column = display(self.table.column_name)
        return f"{kind} {self.table.row + 1:,} of {self.table.n_rows:,} · {column}{axis}"

    def _marks(self) -> dict[str, str]:
        query = self.asked
        marks = {query.sort: "↓" if query.is_descending else "↑"} if query.sort else {}
        return {**marks, self.axis: f"{marks.get(self.axis, '')}ˣ"} if self.axis else marks

    def _nothing(self) -> str:
        if self.rows and self.rows.n_rows:
            return "No row is let through: / changes the filter."
        return "The folder has no rows yet: r reads it again."

    def _draw_plot(self) -> None:
        if not self.pane.is_plotting or self.view is None:
            return
        columns = self.view.rows.by_name
        column = columns.get(self.table.column_name)
        against = columns.get(self.axis) if self.axis != self.table.column_name else None
        if column is not None:
            other = against.taken(self.view.indices) if against else None
            shown = column.taken(self.view.indices)
            self.pane.plot.plot = ColumnPlot(shown, other, self.table.row, self.is_log)

    @on(RowTable.RowChanged)
    def follow(self, event: RowTable.RowChanged) -> None:
        """Say where the cursor is."""
        event.stop()
        self.draw()

    def _tell(self, line: str, *, is_error: bool = False) -> None:
        self.app.clear_notifications()
        self.notify(display(line), severity="error" if is_error else "information", timeout=8, markup=False)

    # One row.

    def _row_at(self) -> int | None:
        """The folder's row under the cursor."""
        view = self.view
        return None if view is None or view.groups or not view.n_shown else view.index(self.table.row)

    def _fields(self) -> dict[str, object]:
        """The fields of the row under the cursor; of a group, its values."""
        if (at := self._row_at()) is not None and self.view:
            return self.view.rows.row(at)
        grid = self.table.grid
        if grid is None or not grid.n_lines:
            return {}
        return {column.name: grid.value(self.table.row, place) for place, column in enumerate(grid.columns)}

    def action_open_row(self) -> None:
        """Open the row in the explorer, or the group."""
        view = self.view
        if view and view.groups and view.groups.groups:
            group = view.groups.groups[self.table.row]
            self._remember_place()
            self._ask(replace(self.asked, group="", inside=(view.groups.by.name, group.value)))
        elif view and self._row_at() is not None:
            row = self._fields()
            try:
                session = session_of(row, view.rows.folder.name, view.rows.record.asked)
                self.post_message(self.Opened(row, session))
            except IcltuiError as error:
                self._tell(str(error), is_error=True)

    def action_show_fields(self) -> None:
        """Show every field of the row."""
        if fields := self._fields():
            self.app.push_screen(RowTextDialog(self._remark(), [fields_of(fields.items())]))

    def action_copy_row(self) -> None:
        """Copy every field of the row."""
        lines = ((token_text(name), token_text(field_text(value))) for name, value in self._fields().items())
        text = write_tsv(lines)
        if not text or encoded_size(text) > LIMIT:
            self._tell(
                "nothing to copy here" if not text else "more than a terminal's clipboard holds",
                is_error=True,
            )
        else:
            self.app.copy_to_clipboard(text)
            self._tell(f"{len(self._fields())} fields sent to the terminal's clipboard")

    # The folder.

    def action_show_summary(self) -> None:
        """Show the folder's summary."""
        if self.rows and self.rows.summary:
            self.app.push_screen(RowTextDialog("Summary", [SummaryPage(self.rows.summary)]))
        else:
            self._tell(
                "the folder has no summary yet: the sweep or the study writes it at its end; r reads again"
            )

    def action_show_help(self) -> None:
        """Show keys, filters and columns."""
        self.app.push_screen(RowTextDialog("Help", help_parts(self.rows.columns if self.rows else ())))

    # Order and groups.

    def _remember_place(self) -> None:
        place = (self.asked, self.table.row, self.table.column_name)
        self._places = [*self._places, place][-_MOST_PLACES:]

    def action_go_back(self) -> None:
        """Stop reading, or go back by one step."""
        if self._loading.is_awaited:
            self._loading.forget()
            self.trouble = "" if self.rows else "Not read: r reads the folder."
            self.draw()
        elif self.pane.is_plotting:
            self.action_plot_rows()
        elif self._places:
            query, line, column = self._places.pop()
            self._ask(replace(query, filter=self.asked.filter), None, line, column)
        else:
            self.post_message(self.Left())

    def action_sort_rows(self) -> None:
        """Sort by the cursor's column."""
        if self.view and self.view.groups:
            self._tell("the largest group comes first; enter opens a group, whose rows can be sorted")
        elif name := self.table.column_name:
            self._ask(self.asked.sorted_by(name), self._row_at())

    def action_group_rows(self) -> None:
        """Group by the cursor's column, or show the rows again."""
        if self.asked.group:
            self.action_go_back()
        elif name := self.table.column_name:
            self._remember_place()
            self._set_plotting(False)
            self._ask(replace(self.asked, group=name))

    # The filter.

    def action_filter_rows(self) -> None:
        """Type a filter."""
        self._before_filter, self._is_filter_closing = self.asked.filter, False
        self.filter_bar.open(self.asked.filter)
        self.filter_bar.show_count(self._counted())

    @on(FindBar.Changed)
    def filter_as_typed(self, event: FindBar.Changed) -> None:
        """Show what the filter lets through, as far as it can be read."""
        if self.filter_bar.display and event.word != self.asked.filter:
            self._ask(replace(self.asked, filter=event.word), self._row_at())

    @on(FindBar.Closed)
    def end_filter(self, event: FindBar.Closed) -> None:
        """Keep the filter once its rows are there, or take the one before; one that cannot be read stays in the bar."""
        if not event.is_kept:
            self._close_filter()
            self._ask(replace(self.asked, filter=self._before_filter), self._row_at())
        elif self._viewing.is_awaited or self.rows is None:
            self._is_filter_closing = True
        elif self.view and self.view.query == self.asked:
            self._close_filter()

    def _close_filter(self) -> None:
        self._is_filter_closing = False
        self.filter_bar.display = False
        self.set_focus(self.table)

    # Plots.

    def action_plot_rows(self) -> None:
        """Plot the cursor's column, or show the table alone again."""
        if self.view and self.view.groups:
            self._tell("a plot is of rows: enter opens a group, esc goes back to all rows")
        else:
            self._set_plotting(not self.pane.is_plotting)

    def _set_plotting(self, is_plotting: bool) -> None:
        self.pane.set_class(is_plotting, "-plot")
        self.draw()

    def action_take_axis(self) -> None:
        """Take the cursor's column as the x axis, or none."""
        name = self.table.column_name
        column = self.view.rows.by_name.get(name) if self.view else None
        if column is None or column.kind != "number":
            self._tell(f"{name or 'this'} is no column with one number a row: take another as the x axis")
            return
        self.axis = "" if self.axis == name else name
        self.table.marks = self._marks()
        self.table.refresh()
        self.draw()

    def action_switch_log_scale(self) -> None:
        """Logarithmic or linear."""
        self.is_log = not self.is_log
        self.draw()


def _view_of(asked: tuple[LoadedRows, RowsQuery]) -> RowsView:
    return rows_view(*asked)

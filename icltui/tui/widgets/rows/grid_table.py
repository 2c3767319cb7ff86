"""A table of any number of rows and columns, with a cursor on both; only what is in sight is drawn."""

from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.events import Click
from textual.reactive import reactive
from textual.strip import Strip

from icltui.tui.draw.exam_lines import Cells
from icltui.tui.draw.row_cells import cell, columns_in, first_in_sight, title
from icltui.tui.draw.safe_text import display
from icltui.tui.state.rows.grid import Grid
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.row_table import RowTable


class GridTable(RowTable):
    """The rows of a grid."""

    DEFAULT_CSS = """
    GridTable { & > .grid-table--column { color: $text-accent; text-style: bold reverse; } }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"grid-table--column"}
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("grid.left", "h,left", "move_column(-1)", "Column left", "One column to the left"),
        key_binding("grid.right", "l,right", "move_column(1)", "Column right", "One column to the right"),
        key_binding(
            "grid.first", "circumflex_accent", "move_column(-10000)", "First column", "To the first column"
        ),
        key_binding("grid.last", "dollar_sign", "move_column(10000)", "Last column", "To the last column"),
    ]

    column: reactive[int] = reactive(0, repaint=False)
    """The cursor's column."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.grid: Grid | None = None
        self.marks: dict[str, str] = {}
        """Marks after the names of columns, such as the order."""
        self.nothing = ""
        """What is shown in place of rows."""
        self._first = 0

    def show(self, grid: Grid | None, marks: dict[str, str], nothing: str) -> None:
        """Show other rows."""
        self.grid, self.marks, self.nothing = grid, marks, nothing
        self.column = self.column
        self._show_column()
        self.lay_out()

    @property
    def n_rows(self) -> int:
        return self.grid.n_lines if self.grid else 0

    @property
    def column_name(self) -> str:
        """The name of the cursor's column; empty where there is none."""
        columns = self.grid.columns if self.grid else ()
        return columns[self.column].name if self.column < len(columns) else ""

    def go_to_column(self, name: str) -> None:
        """Move to the column of this name, if there is one."""
        names = [column.name for column in self.grid.columns] if self.grid else []
        if name in names:
            self.column = names.index(name)

    def validate_column(self, column: int) -> int:
        """The nearest column there is."""
        return max(0, min(column, len(self.grid.columns) - 1 if self.grid else 0))

    def watch_column(self) -> None:
        """Bring the column in sight."""
        self._show_column()
        self.refresh()
        self.post_message(self.RowChanged(self))

    def on_resize(self) -> None:
        """Keep both cursors in sight."""
        self._show_column()
        super().on_resize()

    def _show_column(self) -> None:
        columns = self.grid.columns if self.grid else ()
        if self.size.width and columns:
            first = min(self._first, len(columns) - 1)
            width = self.scrollable_content_region.width - 1
            self._first = first_in_sight(columns, first, self.column, width)

    def action_move_column(self, columns: int) -> None:
        """Move the cursor by ``columns``."""
        self.column += columns

    def on_click(self, event: Click) -> None:
        """Move to the column under the mouse; the row is the base's."""
        offset = event.get_content_offset(self)
        if offset is None or self.grid is None:
            return
        x = 1
        for at, width in self._placed(self.scrollable_content_region.width - 1):
            if x <= offset.x < x + width + 1:
                self.column = at
            x += width + 1

    def _placed(self, width: int) -> list[tuple[int, int]]:
        return columns_in(self.grid.columns, self._first, width) if self.grid else []

    def header_at(self, width: int) -> str:
        return " ".join(self._title(at, room) for at, room in self._placed(width))

    def _title(self, at: int, width: int) -> str:
        column = self.grid.columns[at] if self.grid else None
        return title(column, width, self.marks.get(column.name, "")) if column else ""

    def cells_at(self, row: int, width: int) -> Cells:
        if self.grid is None:
            return []
        columns = self.grid.columns
        return [
            (cell(columns[at].kind, self.grid.value(row, at), room) + " ", "")
            for at, room in self._placed(width)
        ]

    def render_line(self, y: int) -> Strip:
        """The header with the cursor's column marked, a row, or why there is none."""
        width = self.scrollable_content_region.width
        if not self.n_rows:
            text = self.nothing.splitlines()[y : y + 1]
            words = " " + display(text[0]) if text and text[0] else ""
            return Strip([Segment(words, self.rich_style)]).adjust_cell_length(width, self.rich_style)
        if y:
            return super().render_line(y)
        style = self.get_component_rich_style("row-table--header")
        marked = self.get_component_rich_style("grid-table--column")
        segments = [Segment(" ", style)]
        for at, room in self._placed(width - 1):
            segments += [
                Segment(self._title(at, room), marked if at == self.column else style),
                Segment(" ", style),
            ]
        return Strip(segments).adjust_cell_length(width, self.rich_style)

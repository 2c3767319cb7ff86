"""A table of rows with a cursor on one, drawn line by line: only what is in sight costs anything."""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.events import Click
from textual.geometry import Region, Size, Spacing
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from icltui.tui.draw.exam_lines import Cells
from icltui.tui.draw.safe_text import CURSOR
from icltui.tui.widgets.bindings import key_binding


class RowTable(ScrollView, can_focus=True):
    """Rows below a header that does not scroll; a subclass says what is in them."""

    DEFAULT_CSS = """
    RowTable {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        & > .row-table--header { color: $text-muted; text-style: bold; }
        & > .row-table--quiet { color: $text-muted; }
        & > .row-table--right { color: $text-success; }
        & > .row-table--wrong { color: $text-error; }
        & > .row-table--cursor {
            background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground;
        }
        &:focus > .row-table--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: bold;
        }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"row-table--{name}" for name in ("header", "quiet", "right", "wrong", "cursor")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("rows.down", "j,down", "move(1)", "Next row", "One row down"),
        key_binding("rows.up", "k,up", "move(-1)", "Previous row", "One row up"),
        key_binding("rows.first", "g,home", "move(-1000000)", "First row", "To the first row"),
        key_binding("rows.last", "G,end", "move(1000000)", "Last row", "To the last row"),
        key_binding("rows.half_down", "ctrl+d", "page(0.5)", "Half down", "Half a page down"),
        key_binding("rows.half_up", "ctrl+u", "page(-0.5)", "Half up", "Half a page up"),
        key_binding("rows.page_down", "pagedown", "page(1)", "Page down", "A page down"),
        key_binding("rows.page_up", "pageup", "page(-1)", "Page up", "A page up"),
    ]

    row: reactive[int] = reactive(0, repaint=False)
    """The cursor's row."""

    class RowChanged(Message):
        """The cursor of ``table`` is at another row."""

        def __init__(self, table: "RowTable") -> None:
            super().__init__()
            self.table = table

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def header_at(self, width: int) -> str:
        """The line above the rows."""
        raise NotImplementedError

    def cells_at(self, row: int, width: int) -> Cells:
        """The cells of a row."""
        raise NotImplementedError

    def lay_out(self) -> None:
        """Take up other rows."""
        self.virtual_size = Size(1, self.n_rows + 1)
        self.row = self.row
        self.refresh(layout=True)

    def validate_row(self, row: int) -> int:
        """The nearest row there is."""
        return max(0, min(row, self.n_rows - 1))

    def watch_row(self) -> None:
        """Keep the cursor in sight."""
        self.refresh()
        self.reveal()
        self.post_message(self.RowChanged(self))

    def reveal(self) -> None:
        """Scroll no further than it takes to see the cursor."""
        if self.scrollable_content_region:
            region = Region(0, self.row + 1, self.size.width, 1)
            spacing = Spacing(top=1)
            self.scroll_to_region(region, spacing=spacing, animate=False, force=True, immediate=True)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self.reveal()

    def action_move(self, rows: int) -> None:
        """Move the cursor by ``rows``."""
        self.row += rows

    def action_page(self, pages: float) -> None:
        """Move the cursor by ``pages`` screens."""
        rows = max(1, int(abs(pages) * (self.size.height - 1)))
        self.row += rows if pages > 0 else -rows

    def on_click(self, event: Click) -> None:
        """Move the cursor to the row under the mouse."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.y > 0 and (row := offset.y + self.scroll_offset.y - 1) < self.n_rows:
            self.row = row

    def render_line(self, y: int) -> Strip:
        """The header, or one of the rows below it."""
        width = self.scrollable_content_region.width
        row = self.scroll_offset.y + y - 1
        base, segments = self.rich_style, list[Segment]()
        if y == 0 and self.n_rows:
            style = self.get_component_rich_style("row-table--header")
            segments = [Segment(" " + self.header_at(width - 1), style)]
        elif 0 <= row == self.row < self.n_rows:
            base = self.get_component_rich_style("row-table--cursor")
            segments = [Segment(CURSOR + "".join(text for text, _ in self.cells_at(row, width - 1)), base)]
        elif 0 <= row < self.n_rows:
            pieces = self.cells_at(row, width - 1)
            segments = [Segment(" ", base), *(Segment(text, self._style(role)) for text, role in pieces)]
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, role: str) -> Style:
        return self.get_component_rich_style(f"row-table--{role}") if role else self.rich_style

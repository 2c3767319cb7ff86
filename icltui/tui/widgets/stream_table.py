"""The stream table: one row per unit as it comes in, for one layer.

Lines are drawn one by one and kept, since a DataTable repaints all of itself at every change.
"""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.cache import LRUCache
from textual.geometry import Offset, Region, Size, Spacing
from textual.strip import Strip

from icltui.tui.draw.clipboard_text import stream_copy
from icltui.tui.draw.safe_text import CURSOR
from icltui.tui.draw.table_columns import Column, columns
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.widgets.bindings import first_and_last, key_binding, pages
from icltui.tui.widgets.unit_cursor import UnitCursor

_NOTHING = "no numbers yet: a run fills them"


class StreamTable(UnitCursor):
    """The units of a measurement as rows, the newest at the end."""

    DEFAULT_CSS = """
    StreamTable {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        & > .stream-table--header { color: $text-muted; text-style: bold; }
        & > .stream-table--unit { color: $text-muted; }
        & > .stream-table--token { color: $text-accent; }
        & > .stream-table--changed { color: $text-success; text-style: bold; }
        & > .stream-table--cursor {
            background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground;
        }
        &:focus > .stream-table--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: bold;
        }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "stream-table--header",
        "stream-table--unit",
        "stream-table--token",
        "stream-table--changed",
        "stream-table--cursor",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("stream.down", "j,down", "move_cursor(1)", "Next unit", "One unit down"),
        key_binding("stream.up", "k,up", "move_cursor(-1)", "Previous unit", "One unit up"),
        *first_and_last("stream"),
        *pages("stream"),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._n_rows = 0
        self._painted = (-1, 0)
        """Units to come and version, of the measurement when it was painted last."""
        self._lines: LRUCache[tuple[object, ...], Strip] = LRUCache(512)

    # What comes in.

    def show(self, measured: MeasuredUnits) -> None:
        """Show ``measured`` from now on, the cursor as near to where it was as the measurement allows."""
        self.measured = measured
        self._lines.clear()  # another measurement may have the same versions
        self._painted = (-1, 0)
        self._lay_out()
        self.unit = self.unit

    def advance(self) -> None:
        """Show what came in since; a cursor at the end stays at the end (and posts nothing)."""
        was_last = self.unit >= self._n_rows - 1
        self._lay_out()
        self.unit = self._n_rows - 1 if was_last else self.unit

    def begin_at_last(self) -> None:
        """Begin at the last unit; no ``Moved``, which would undo what numbers that come meanwhile do."""
        self.unit = self.measured.last_unit

    def copied(self) -> str:
        """Every unit, with every measure at the shown layer."""
        return stream_copy(self.measured, self.shown_layer)

    def _lay_out(self) -> None:
        """Reserve the rows of units to come: a growing size would repaint every line each time."""
        n_units, version = self._painted
        was_empty, self._n_rows = self._n_rows == 0, self.measured.last_unit + 1
        self._painted = (self.measured.n_units, self.measured.version)
        self.virtual_size = Size(1, self.measured.n_units + 1)
        if was_empty or n_units != self.measured.n_units:
            self.refresh()
            return
        for y in range(1, self.size.height):
            row = self.scroll_offset.y + y - 1
            if self._changed_at(row) > version:
                self.refresh(Region(0, y, self.size.width, 1))

    def _changed_at(self, row: int) -> int:
        """The version of a row: of its own unit, and of the unit whose next token it is compared with."""
        return self.measured.changed_at((row, row - 1, 0))

    def validate_unit(self, unit: int) -> int:
        """The nearest row there is."""
        return max(0, min(unit, self._n_rows - 1))

    def watch_shown_layer(self) -> None:
        """Draw the numbers of another layer."""
        self.refresh()

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self.reveal()

    def forget_lines(self) -> None:
        """Draw every line again."""
        self._lines.clear()

    @property
    def frozen(self) -> Spacing:
        """The header."""
        return Spacing(top=1)

    def region_of(self, unit: int, layer: int) -> Region:  # noqa: ARG002
        """The unit's row, whatever the layer."""
        return Region(0, unit + 1, self.size.width, 1)

    def cell_at(self, offset: Offset) -> tuple[int, int] | None:
        """The unit whose row it is."""
        return (offset.y - 1, self.shown_layer) if offset.y <= self._n_rows else None

    # What the user does.

    def action_move_cursor(self, rows: int) -> None:
        """Move the cursor by ``rows``."""
        self.select(self.unit + rows, self.shown_layer)

    def action_move_page(self, pages: float) -> None:
        """Move the cursor by ``pages`` screens."""
        rows = max(1, int(abs(pages) * (self.size.height - 1)))
        self.action_move_cursor(rows if pages > 0 else -rows)

    # What is drawn.

    def render_line(self, y: int) -> Strip:
        """The header, or one of the rows below it."""
        width = self.scrollable_content_region.width
        row = None if y == 0 else self.scroll_offset.y + y - 1
        changed = 0 if row is None else self._changed_at(row)
        is_laid_out = (row or 0) < self._n_rows  # numbers may come in before a paint that knows of their row
        key = (row, width, self.measured.n_units, changed, is_laid_out, self.shown_layer, row == self.unit)
        if (line := self._lines.get(key)) is None:
            line = self._lines[key] = self._draw(row, width)
        return line

    def _draw(self, row: int | None, width: int) -> Strip:
        base, n_units = self.rich_style, self.measured.n_units
        shown = columns(width - 1, n_units, self.measured.dynamics)
        segments: list[Segment] = []
        if row is None and self._n_rows:
            style = self.get_component_rich_style("stream-table--header")
            segments = [Segment(" " + " ".join(column.header() for column in shown), style)]
        elif row is None:
            segments = [Segment(f"Measuring {n_units - 1} units…" if n_units else _NOTHING, base)]
        elif row == self.unit < self._n_rows:
            base = self.get_component_rich_style("stream-table--cursor")
            segments = [Segment(CURSOR + " ".join(self._cell(column, row) for column in shown), base)]
        elif row < self._n_rows:
            cells = (Segment(self._cell(column, row) + " ", self._style(column, row)) for column in shown)
            segments = [Segment(" ", base), *cells]
        return Strip(segments).adjust_cell_length(width, base)

    def _cell(self, column: Column, unit: int) -> str:
        return column.cell(self.measured, unit, self.shown_layer, column.width)

    def _style(self, column: Column, unit: int) -> Style:
        if column.role == "next" and self.measured.has_changed(unit):
            return self.get_component_rich_style("stream-table--changed")
        if column.role in ("unit", "token"):
            return self.get_component_rich_style(f"stream-table--{column.role}")
        return self.rich_style

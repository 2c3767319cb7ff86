"""The stream table: one row per unit as it comes in, for one layer; each with a bar of the chosen number.

Lines are drawn one by one and kept, since a DataTable repaints all of itself at every change.
"""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.cache import LRUCache
from textual.events import Click
from textual.geometry import Offset, Region, Size, Spacing
from textual.reactive import reactive
from textual.strip import Strip

from icltui.report.measures import MEASURES, PEAK
from icltui.tui.draw.bar import bar
from icltui.tui.draw.clipboard_text import stream_copy
from icltui.tui.draw.colormap import level, ramp
from icltui.tui.draw.safe_text import CURSOR
from icltui.tui.draw.table_columns import USUAL_TEXT, Column, columns
from icltui.tui.draw.unit_texts import widest_unit
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.state.peaks import peak_units
from icltui.tui.state.row_order import SortedBy, sorted_units
from icltui.tui.state.shade_bounds import Bounds
from icltui.tui.widgets.bindings import first_and_last, key_binding, pages
from icltui.tui.widgets.unit_cursor import UnitCursor

_NOTHING = "no numbers yet: a run fills them"
_HEADER = None
"""The unit of the line that has none."""


class StreamTable(UnitCursor):
    """The units of a measurement as rows: in the order of the text, the newest at the end, or by a column."""

    DEFAULT_CSS = """
    StreamTable {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        & > .stream-table--header { color: $text-muted; text-style: bold; }
        & > .stream-table--unit { color: $text-muted; }
        & > .stream-table--token { color: $foreground; }
        & > .stream-table--peak { color: $text-accent; text-style: bold; }
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
        f"stream-table--{name}" for name in ("header", "unit", "token", "peak", "changed", "cursor")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("stream.down", "j,down", "move_cursor(1)", "Next row", "One row down"),
        key_binding("stream.up", "k,up", "move_cursor(-1)", "Previous row", "One row up"),
        *first_and_last("stream"),
        *pages("stream"),
        key_binding(
            "stream.sort", "s", "sort_by_next", "Sort", "Sort by the next column; after the last: not"
        ),
        key_binding("stream.reverse", "S", "reverse_order", "Reverse", "Sort the other way round"),
        key_binding("stream.text_order", "number_sign", "sort_by", "As in text", "Back to the text's order"),
    ]

    measure: reactive[str] = reactive("delta_norm", repaint=False)
    """The number that the bars are of, and whose peaks are marked."""
    is_log: reactive[bool] = reactive(True, repaint=False)
    """Whether the bars follow the logarithm, where the number allows it."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.sorted_by: SortedBy | None = None
        self._n_rows = 0
        self._n_units = -1
        """Units to come, of the measurement when it was laid out last."""
        self._order: Sequence[int] = ()
        """The unit of each row; as in the text where it is empty."""
        self._rows: dict[int, int] = {}
        """The row of each unit, in an order of its own."""
        self._widest = USUAL_TEXT
        self._peaks: frozenset[int] = frozenset()
        self._peaks_of: tuple[object, ...] = ()
        self._bounds: Bounds | None = None
        """The numbers of the shortest and the longest bar."""
        self._painted: dict[int, object] = {}
        """What each line was painted from last."""
        self._lines: LRUCache[object, Strip] = LRUCache(512)

    # What comes in.

    def show(self, measured: MeasuredUnits) -> None:
        """Show ``measured`` from now on, the cursor as near to where it was as the measurement allows."""
        self.measured = measured
        self._lines.clear()  # another measurement may have the same versions
        self._n_units = -1
        self._lay_out()
        self.unit = self.unit

    def advance(self) -> None:
        """Show what came in since; a cursor at the text's end stays there (and posts nothing)."""
        was_last = not self.sorted_by and self.unit >= self._n_rows - 1
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
        was_empty, self._n_rows = self._n_rows == 0, self.measured.last_unit + 1
        self.virtual_size = Size(1, self.measured.n_units + 1)
        if was_empty or self._n_units != self.measured.n_units:
            self._n_units, self._widest = self.measured.n_units, widest_unit(self.measured) or USUAL_TEXT
            self._set_in_order()
            self.refresh()
        else:
            self._set_in_order()
            self._repaint_changed()

    def _set_in_order(self) -> None:
        """Find peaks and order anew; the cursor's row stays in sight."""
        of = (self.measured, self.measured.version, self.measure, self.shown_layer)
        if of != self._peaks_of:
            self._peaks_of = of
            self._peaks = frozenset(peak_units(self.measured, self.measure, self.shown_layer))
        self._bounds = self.measured.shade_bounds(
            self.measure, (self.shown_layer,), positive=self._has_log_bars
        )
        before = self._order
        column = self._column_of_order()
        if column is None or self.sorted_by is None:
            self._order, self._rows = (), {}
        else:
            self._order = sorted_units(
                self.measured, self.shown_layer, column.key, self.sorted_by.is_descending
            )
            self._rows = {unit: row for row, unit in enumerate(self._order)}
        if before != self._order:
            self.reveal()

    def _repaint_changed(self) -> None:
        """Repaint the lines that were painted from something else."""
        of_all, cursor, top, width = self._state_of_all(), self.unit, self.scroll_offset.y, self.size.width
        for y in range(self.size.height):
            unit = _HEADER if y == 0 else self.unit_at(top + y - 1)
            if self._painted.get(y) != self._state_of(unit, of_all, cursor):
                self.refresh(Region(0, y, width, 1))

    def _draw_anew(self) -> None:
        self._set_in_order()
        self._repaint_changed()

    def validate_unit(self, unit: int) -> int:
        """The nearest unit there is."""
        return max(0, min(unit, self._n_rows - 1))

    def watch_shown_layer(self) -> None:
        """Draw the numbers of another layer."""
        self._draw_anew()

    def watch_measure(self) -> None:
        """Draw the bars of another number."""
        self._draw_anew()

    def watch_is_log(self) -> None:
        """Draw the bars on another scale."""
        self._draw_anew()

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self.reveal()

    def forget_lines(self) -> None:
        """Draw every line again."""
        self._lines.clear()

    # Units and rows.

    def unit_at(self, row: int) -> int:
        """The unit of a row."""
        return self._order[row] if row < len(self._order) else row

    def row_of(self, unit: int) -> int:
        """The row of a unit."""
        return self._rows.get(unit, unit)

    @property
    def frozen(self) -> Spacing:
        """The header."""
        return Spacing(top=1)

    def region_of(self, unit: int, layer: int) -> Region:  # noqa: ARG002
        """The unit's row, whatever the layer."""
        return Region(0, self.row_of(unit) + 1, self.size.width, 1)

    def cell_at(self, offset: Offset) -> tuple[int, int] | None:
        """The unit whose row it is."""
        return (self.unit_at(offset.y - 1), self.shown_layer) if offset.y <= self._n_rows else None

    # What the user does.

    def action_move_cursor(self, rows: int) -> None:
        """Move the cursor by ``rows``."""
        row = max(0, min(self.row_of(self.unit) + rows, self._n_rows - 1))
        self.select(self.unit_at(row), self.shown_layer)

    def action_move_first(self) -> None:
        """Move the cursor to the first row."""
        self.action_move_cursor(-self._n_rows)

    def action_move_last(self) -> None:
        """Move the cursor to the last row."""
        self.action_move_cursor(self._n_rows)

    def action_move_page(self, pages: float) -> None:
        """Move the cursor by ``pages`` screens."""
        rows = max(1, int(abs(pages) * (self.size.height - 1)))
        self.action_move_cursor(rows if pages > 0 else -rows)

    def action_sort_by_next(self) -> None:
        """Sort by the next column: numbers, the greatest on top, then texts; after the last as in the text."""
        names = [column.name for column in self._sortable()]
        at = names.index(self.sorted_by.column) if self.sorted_by and self.sorted_by.column in names else -1
        self.action_sort_by(names[at + 1] if at + 1 < len(names) else "")

    def action_reverse_order(self) -> None:
        """Sort the other way round; where nothing is sorted, by the chosen number, the least on top."""
        by = self.sorted_by or SortedBy(self.measure, is_descending=True)
        self._sort(SortedBy(by.column, not by.is_descending))

    def action_sort_by(self, name: str = "") -> None:
        """Sort by a column, or back to the text's order."""
        is_text = name in ("token", "next")
        self._sort(SortedBy(name, not is_text) if name and name != "unit" else None)

    def _sort(self, by: SortedBy | None) -> None:
        self.sorted_by = by
        self._draw_anew()
        self.reveal()

    def on_click(self, event: Click) -> None:
        """Sort by the column whose title was clicked, again: the other way round; the base moves the cursor."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y != 0:
            return
        left = 1
        for column in self._columns():
            if left <= offset.x <= left + column.width and column.role != "heat":
                is_again = self.sorted_by is not None and self.sorted_by.column == column.name
                self.action_reverse_order() if is_again else self.action_sort_by(column.name)
                return
            left += column.width + 1

    def _columns(self) -> tuple[Column, ...]:
        width = self.scrollable_content_region.width - 1
        return columns(width, self.measured.n_units, self.measured.dynamics, self.measure, self._widest)

    def _sortable(self) -> list[Column]:
        """Numbers first, then texts."""
        shown = [column for column in self._columns() if column.role in ("number", "next", "token")]
        return sorted(shown, key=lambda column: ("number", "next", "token").index(column.role))

    def _column_of_order(self) -> Column | None:
        """The column sorted by; None in the text's order, and while the table has no such column."""
        name = self.sorted_by.column if self.sorted_by else ""
        return next((column for column in self._columns() if column.name == name), None)

    # What is drawn.

    def render_line(self, y: int) -> Strip:
        """The header, or one of the rows below it."""
        state = self._painted[y] = self._state_of(self._unit_on(y), self._state_of_all(), self.unit)
        if (line := self._lines.get(state)) is None:
            line = self._lines[state] = self._draw(y)
        return line

    def _unit_on(self, y: int) -> int | None:
        """The unit on a line of the screen; the number of rows or more where there is none yet."""
        return _HEADER if y == 0 else self.unit_at(self.scroll_offset.y + y - 1)

    def _state_of_all(self) -> tuple[object, ...]:
        """What every line is drawn from."""
        width, shown = self.scrollable_content_region.width, (self.measure, self.shown_layer)
        return (width, self._n_units, self._widest, self._n_rows > 0, *shown)

    def _state_of(self, unit: int | None, of_all: tuple[object, ...], cursor: int) -> tuple[object, ...]:
        """All that a line is drawn from."""
        if unit is _HEADER:
            return (*of_all, self.sorted_by, self.measured.n_units)
        if unit >= self._n_rows:  # numbers may come in before a paint that knows of their row
            return of_all[:1]
        changed = self.measured.changed_at(
            (unit, unit - 1, 0)
        )  # its next token is held against another unit's
        return (unit, *of_all, changed, unit == cursor, self._fraction(unit), unit in self._peaks)

    @property
    def _has_log_bars(self) -> bool:
        return self.is_log and MEASURES[self.measure].log

    def _fraction(self, unit: int) -> float | None:
        """The length of the bar, in steps so small that none is seen; None without a number."""
        if self._bounds is None:
            return None
        value = self.measured.value(self.measure, unit, self.shown_layer)
        fraction = level(value, *self._bounds, self._has_log_bars)
        return None if fraction is None else round(fraction, 2)

    def _draw(self, y: int) -> Strip:
        base, unit, width = self.rich_style, self._unit_on(y), self.scrollable_content_region.width
        shown, segments = self._columns(), list[Segment]()
        if unit is _HEADER:
            segments = [self._header(shown)]
        elif unit == self.unit < self._n_rows:
            base = self.get_component_rich_style("stream-table--cursor")
            segments = [Segment(CURSOR + " ".join(self._cell(column, unit) for column in shown), base)]
        elif unit < self._n_rows:
            cells = (segment for column in shown for segment in self._segments(column, unit, base))
            segments = [Segment(" ", base), *cells]
        return Strip(segments).adjust_cell_length(width, base)

    def _header(self, shown: Sequence[Column]) -> Segment:
        n_units = self.measured.n_units
        if not self._n_rows:
            return Segment(f"Measuring {n_units - 1} units…" if n_units else _NOTHING, self.rich_style)
        by = self.sorted_by
        titles = (column.header(by.arrow if by and by.column == column.name else "") for column in shown)
        return Segment(" " + " ".join(titles), self.get_component_rich_style("stream-table--header"))

    def _cell(self, column: Column, unit: int) -> str:
        if column.role == "heat":
            return self._mark(unit) + self._bar(column, unit)
        return column.cell(self.measured, unit, self.shown_layer, column.width)

    def _mark(self, unit: int) -> str:
        return PEAK if unit in self._peaks else " "

    def _bar(self, column: Column, unit: int) -> str:
        fraction = self._fraction(unit)
        return " " * (column.width - 1) if fraction is None else bar(max(fraction, 0.02), column.width - 1)

    def _segments(self, column: Column, unit: int, base: Style) -> list[Segment]:
        if column.role != "heat":
            return [Segment(self._cell(column, unit) + " ", self._style(column, unit) or base)]
        peak = self.get_component_rich_style("stream-table--peak")
        ink = base + ramp(self.app).ink(self._fraction(unit) or 0.0)
        return [Segment(self._mark(unit), peak), Segment(self._bar(column, unit) + " ", ink)]

    def _style(self, column: Column, unit: int) -> Style | None:
        if column.role == "next" and self.measured.has_changed(unit):
            return self.get_component_rich_style("stream-table--changed")
        if column.role in ("unit", "token"):
            return self.get_component_rich_style(f"stream-table--{column.role}")
        return None

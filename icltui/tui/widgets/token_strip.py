"""The token strip: the context's own text, wrapped, each unit on the shade of one number.

What streams in repaints only the lines whose shades it changes.
"""

from typing import ClassVar

from rich.segment import Segment
from textual.binding import BindingType
from textual.geometry import Offset, Region, Size, Spacing
from textual.reactive import reactive
from textual.strip import Strip

from icltui.tui.draw.clipboard_text import stream_copy
from icltui.tui.draw.token_colorings import COLORINGS
from icltui.tui.draw.token_strip_lines import HEADER, TokenStripLines
from icltui.tui.draw.wrap import WrappedText, wrap_units
from icltui.tui.state.measurement_so_far import EMPTY_CONTEXT, MeasuredUnits
from icltui.tui.widgets.bindings import first_and_last, key_binding, pages
from icltui.tui.widgets.unit_cursor import NOT_MEASURED, ShadedUnits

_MARGIN = 1
"""Columns left of the text."""


class TokenStrip(ShadedUnits):
    """The context as it reads, coloured by what each unit does."""

    DEFAULT_CSS = """
    TokenStrip {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("text.left", "h,left", "move_unit(-1)", "Unit before", "One unit back"),
        key_binding("text.right", "l,right", "move_unit(1)", "Unit after", "One unit on"),
        key_binding("text.up", "k,up", "move_line(-1)", "Line before", "One line up"),
        key_binding("text.down", "j,down", "move_line(1)", "Line after", "One line down"),
        *first_and_last("text"),
        *pages("text"),
    ]

    coloring: reactive[str] = reactive("delta_norm")
    """The name of one of :data:`~icltui.tui.draw.token_colorings.COLORINGS`."""

    def __init__(self, *, glyphs: bool | None = None, id: str | None = None) -> None:
        super().__init__(glyphs=glyphs, id=id)
        self._page = WrappedText(())
        self._page_of: tuple[object, ...] = ()
        self._painted: dict[int, tuple[str, ...]] = {}
        """The shades of the lines of text in sight."""
        self._painted_header: tuple[str, ...] = ()
        self._drawn: TokenStripLines | None = None

    # What comes in.

    def show(self, measured: MeasuredUnits) -> None:
        """Show ``measured`` from now on, the cursor as near to where it was as the measurement allows."""
        self.measured = measured
        self._page_of = ()
        self.unit = self.unit
        self.advance()

    def advance(self) -> None:
        """Paint what came in since: only the lines whose shades changed."""
        self._drawn = None
        if not self.display or not self.is_mounted:
            return  # done when it is shown
        if self._lay_out():
            return
        before, self._painted = self._painted, self._levels_in_sight()
        for row, levels in self._painted.items():
            if before.get(row) != levels:
                self.refresh_cells(self._region_of_rows(row, row))
        header = self._header_texts()
        if header != self._painted_header:
            self._painted_header = header
            self.refresh_header()

    def _lay_out(self) -> bool:
        """Wrap the text again if it or the width has changed; whether that was so."""
        width = self.scrollable_content_region.width - _MARGIN
        of = (self.measured, self.measured.tokens, width, self.glyphs)
        if of == self._page_of or width < 1:
            return False
        self._page_of = of
        units = self.measured.tokens.units if self.measured.tokens else ()
        texts = [(0, f"{EMPTY_CONTEXT} "), *((unit.index, unit.text) for unit in units)]
        self._page = wrap_units(texts if units else (), width)
        self._drawn = None
        self.virtual_size = Size(1, HEADER + len(self._page.lines) * self._text.lines_per_row)
        self._painted, self._painted_header = self._levels_in_sight(), self._header_texts()
        self.refresh()
        self.reveal()
        return True

    @property
    def _text(self) -> TokenStripLines:
        """What is drawn now; made again only when something in it has changed."""
        if self._drawn is None:
            self._drawn = TokenStripLines(*self.state_of_lines(COLORINGS[self.coloring]), self._page)
        return self._drawn

    def _levels_in_sight(self) -> dict[int, tuple[str, ...]]:
        text = self._text
        first = self.scroll_offset.y // text.lines_per_row
        last = first + self.size.height // text.lines_per_row + 1
        return {row: text.levels(row) for row in range(first, min(last, len(self._page.lines)))}

    def _header_texts(self) -> tuple[str, ...]:
        lines = (self._text.header(line) for line in range(HEADER))
        return tuple("".join(segment.text for segment in line) for line in lines)

    def watch_unit(self, before: int, after: int) -> None:
        """Repaint the lines of two units, and the read-out."""
        self._drawn = None
        super().watch_unit(before, after)

    def watch_shown_layer(self) -> None:
        self.forget_lines()
        self.refresh()

    def watch_coloring(self) -> None:
        self.forget_lines()

    def watch_is_log(self) -> None:
        self.forget_lines()

    def forget_lines(self) -> None:
        """Draw every line again."""
        self._drawn, self._painted = None, {}

    def watch_glyphs(self) -> None:
        self.advance()

    def on_show(self) -> None:
        """Catch up with what came in while another tab was shown."""
        self.advance()

    def on_resize(self) -> None:
        """Wrap to the width, and keep the cursor in sight."""
        self.advance()
        self.reveal()

    @property
    def frozen(self) -> Spacing:
        """The choice of numbers, the colorbar, the read-out, a blank line; the margin left of the text."""
        return Spacing(top=HEADER, left=_MARGIN)

    def region_of(self, unit: int, layer: int) -> Region:  # noqa: ARG002
        """The lines of text that hold a part of the unit, whatever the layer; empty if there is none."""
        page = self._page
        return self._region_of_rows(page.rows[unit], page.last_rows[unit]) if unit in page.rows else Region()

    def _region_of_rows(self, first: int, last: int) -> Region:
        height = self._text.lines_per_row
        return Region(0, HEADER + first * height, self.size.width, (last - first + 1) * height)

    def cell_at(self, offset: Offset) -> tuple[int, int] | None:
        """The unit whose text it is."""
        row = (offset.y - HEADER) // self._text.lines_per_row
        unit = self._page.unit_at(row, offset.x - _MARGIN)
        return None if unit is None else (unit, self.shown_layer)

    def reveal(self) -> None:
        """Scroll half a page rather than a line: each scroll repaints everything."""
        room = self.scrollable_content_region.height - HEADER
        if self.unit not in self._page.rows or room < 1:
            return
        height = self._text.lines_per_row
        y = self._page.rows[self.unit] * height
        if not self.scroll_offset.y <= y <= self.scroll_offset.y + room - height:
            self.scroll_to(y=max(0, y - room // 2), animate=False, force=True)

    # What the user does.

    def move_coloring(self, step: int) -> None:
        """Colour by the next number or the previous one; after the last comes the first."""
        names = list(COLORINGS)
        self.coloring = names[(names.index(self.coloring) + step) % len(names)]

    def copied(self) -> str:
        """Every unit at the layer shown, as the table has it."""
        return stream_copy(self.measured, self.shown_layer)

    def action_move_unit(self, units: int) -> None:
        """Move by units."""
        self.select(self.unit + units, self.shown_layer)

    def action_move_line(self, lines: int) -> None:
        """Move by lines of text, to the unit above or below."""
        page = self._page
        row = (page.last_rows if lines > 0 else page.rows).get(self.unit, 0)
        target = max(0, min(row + lines, len(page.lines) - 1))
        unit = page.unit_at(target, page.column(self.unit), nearest=True)
        if target != row and unit is not None:
            self.select(unit, self.shown_layer)

    def action_move_page(self, pages: float) -> None:
        """Move by ``pages`` screens of lines."""
        lines = max(1, int(abs(pages) * (self.size.height - HEADER)) // self._text.lines_per_row)
        self.action_move_line(lines if pages > 0 else -lines)

    # What is drawn.

    def render_line(self, y: int) -> Strip:
        """The colorbar or the read-out, or a line of the text below them."""
        width = self.scrollable_content_region.width
        if not self._page.lines:
            segments = [Segment(f" {NOT_MEASURED}", self.rich_style)] if y == 0 else []
        elif y < HEADER:
            segments = self._text.header(y)
        else:
            segments = self._text.line(y - HEADER + self.scroll_offset.y)
        return Strip(segments).adjust_cell_length(width, self.rich_style)

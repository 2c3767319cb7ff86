"""The token strip: the context's own text, wrapped, each unit on the shade of one number.

A :class:`~icltui.tui.state.measured_units.MeasuredUnits` enters through :meth:`TokenStrip.show`;
:class:`TokenStrip.UnitSelected` leaves. What streams in repaints only the lines whose shades it changes.
"""

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from icltui.tui.draw.clipboard_text import stream_copy
from icltui.tui.draw.colormap import needs_glyphs
from icltui.tui.draw.token_colorings import COLORINGS
from icltui.tui.draw.token_strip_lines import HEADER, TokenStripLines
from icltui.tui.draw.wrap import WrappedText, wrap_units
from icltui.tui.state.measured_units import EMPTY_CONTEXT, MeasuredUnits

_NOTHING = "Nothing measured yet: write a context and a query, then run."
_MARGIN = 1
"""Columns left of the text."""


class TokenStrip(ScrollView, can_focus=True):
    """The context as it reads, coloured by what each unit does."""

    DEFAULT_CSS = """
    TokenStrip {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        & > .token-strip--muted { color: $text-muted; }
        & > .token-strip--strong { text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"token-strip--muted", "token-strip--strong"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("h,left", "move_unit(-1)", "Unit before", False, tooltip="One unit back", id="text.left"),
        Binding("l,right", "move_unit(1)", "Unit after", False, tooltip="One unit on", id="text.right"),
        Binding("k,up", "move_line(-1)", "Line before", False, tooltip="One line up", id="text.up"),
        Binding("j,down", "move_line(1)", "Line after", False, tooltip="One line down", id="text.down"),
        Binding("g,home", "move_first", "First unit", False, tooltip="To the first unit", id="text.first"),
        Binding("G,end", "move_last", "Last unit", False, tooltip="To the last unit", id="text.last"),
        Binding(
            "ctrl+d", "move_page(0.5)", "Half down", False, tooltip="Half a page down", id="text.half_down"
        ),
        Binding("ctrl+u", "move_page(-0.5)", "Half up", False, tooltip="Half a page up", id="text.half_up"),
        Binding("pagedown", "move_page(1)", "Page down", False, tooltip="A page down", id="text.page_down"),
        Binding("pageup", "move_page(-1)", "Page up", False, tooltip="A page up", id="text.page_up"),
    ]

    class UnitSelected(Message):
        """The user moved the cursor to ``unit``."""

        def __init__(self, unit: int) -> None:
            super().__init__()
            self.unit = unit

    unit: reactive[int] = reactive(0, repaint=False)
    """The selected unit."""
    shown_layer: reactive[int] = reactive(0)
    """The layer whose numbers shade the text."""
    coloring: reactive[str] = reactive("delta_norm")
    """The name of one of :data:`~icltui.tui.draw.token_colorings.COLORINGS`."""
    is_log: reactive[bool] = reactive(False)
    """Whether shades follow the logarithm, where the number allows it."""
    glyphs: reactive[bool] = reactive(False, repaint=False)
    """Whether characters stand for colours; chosen for the terminal when the widget is mounted."""

    def __init__(
        self,
        *,
        glyphs: bool | None = None,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.measured = MeasuredUnits()
        self._glyphs_asked = glyphs
        self._page = WrappedText(())
        self._page_of: tuple[object, ...] = ()
        self._painted: dict[int, tuple[str, ...]] = {}
        """The shades of the lines of text in sight."""
        self._painted_header: tuple[str, ...] = ()
        self._drawn: TokenStripLines | None = None

    def on_mount(self) -> None:
        """See what the terminal can do."""
        self.glyphs = needs_glyphs(self.app) if self._glyphs_asked is None else self._glyphs_asked

    # What comes in.

    def show(self, measured: MeasuredUnits) -> None:
        """Show ``measured`` from now on, the cursor as near to where it was as the measurement allows."""
        self.measured = measured
        self._page_of = ()
        self.unit = self.unit
        self.advance()

    def advance(self) -> None:
        """Paint what came in since: only the lines whose shades are others now."""
        self._drawn = None
        if not self.display or not self.is_mounted:
            return  # done when it is shown
        if self._lay_out():
            return
        before, self._painted = self._painted, self._levels_in_sight()
        for row, levels in self._painted.items():
            if before.get(row) != levels:
                self._refresh_rows(row, row)
        header = self._header_texts()
        if header != self._painted_header:
            self._painted_header = header
            self._refresh_header()

    def _lay_out(self) -> bool:
        """Set the text anew if it or the width is another; whether that was so."""
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
        self._reveal()
        return True

    @property
    def _text(self) -> TokenStripLines:
        """What is drawn now; made anew only when something in it is another."""
        if self._drawn is None:
            self._drawn = TokenStripLines(
                self.measured,
                self._page,
                COLORINGS[self.coloring],
                self.is_log,
                self.glyphs,
                self.unit,
                self.shown_layer,
                self.rich_style,
                self.get_component_rich_style("token-strip--muted"),
                self.get_component_rich_style("token-strip--strong"),
            )
        return self._drawn

    def _levels_in_sight(self) -> dict[int, tuple[str, ...]]:
        text = self._text
        first = self.scroll_offset.y // text.lines_per_row
        last = first + self.size.height // text.lines_per_row + 1
        return {row: text.levels(row) for row in range(first, min(last, len(self._page.lines)))}

    def _header_texts(self) -> tuple[str, ...]:
        lines = (self._text.header(line) for line in range(HEADER))
        return tuple("".join(segment.text for segment in line) for line in lines)

    def validate_unit(self, unit: int) -> int:
        """The nearest unit there is."""
        return max(0, min(unit, self.measured.n_units - 1))

    def watch_unit(self, before: int, after: int) -> None:
        """Repaint the lines of two units."""
        self._drawn = None
        for unit in (before, after):
            if unit in self._page.rows:
                self._refresh_rows(self._page.rows[unit], self._page.last_rows[unit])
        self._refresh_header()
        self._reveal()

    def watch_shown_layer(self) -> None:
        """Other shades everywhere."""
        self._forget()

    def watch_coloring(self) -> None:
        """Other shades everywhere."""
        self._forget()

    def watch_is_log(self) -> None:
        """Other shades everywhere."""
        self._forget()

    def _forget(self) -> None:
        """Nothing of what was painted holds."""
        self._drawn, self._painted = None, {}

    def watch_glyphs(self) -> None:
        """Other lines everywhere."""
        self.advance()

    def on_show(self) -> None:
        """Catch up with what came in while another tab was in front."""
        self.advance()

    def on_resize(self) -> None:
        """Wrap to the width and keep the cursor in sight."""
        self.advance()
        self._reveal()

    def notify_style_update(self) -> None:
        """The theme changed."""
        self._forget()
        super().notify_style_update()

    def _refresh_header(self) -> None:
        self.refresh(Region(0, 0, self.size.width, HEADER))

    def _refresh_rows(self, first: int, last: int) -> None:
        height = self._text.lines_per_row
        y = HEADER + first * height - self.scroll_offset.y
        top, bottom = max(y, HEADER), y + (last - first + 1) * height
        if bottom > top:
            self.refresh(Region(0, top, self.size.width, bottom - top))

    def _reveal(self) -> None:
        """Scroll half a page rather than a line: each scrolling paints everything anew."""
        room = self.scrollable_content_region.height - HEADER
        if self.unit not in self._page.rows or room < 1:
            return
        height = self._text.lines_per_row
        y = self._page.rows[self.unit] * height
        if not self.scroll_offset.y <= y <= self.scroll_offset.y + room - height:
            self.scroll_to(y=max(0, y - room // 2), animate=False, force=True)

    # What the user does.

    def move_coloring(self, step: int) -> None:
        """Colour by the next number or the one before, round and round."""
        names = list(COLORINGS)
        self.coloring = names[(names.index(self.coloring) + step) % len(names)]

    def copied(self) -> str:
        """Every unit at the layer shown, as the table has it."""
        return stream_copy(self.measured, self.shown_layer)

    def action_move_unit(self, units: int) -> None:
        """Move by units."""
        self._select(self.unit + units)

    def action_move_line(self, lines: int) -> None:
        """Move by lines of text, to the unit above or below."""
        page = self._page
        row = (page.last_rows if lines > 0 else page.rows).get(self.unit, 0)
        target = max(0, min(row + lines, len(page.lines) - 1))
        unit = page.unit_at(target, page.column(self.unit), nearest=True)
        if target != row and unit is not None:
            self._select(unit)

    def action_move_first(self) -> None:
        """Move to the empty context."""
        self._select(0)

    def action_move_last(self) -> None:
        """Move to the newest unit."""
        self._select(self.measured.last_unit)

    def action_move_page(self, pages: float) -> None:
        """Move by ``pages`` screens of lines."""
        lines = max(1, int(abs(pages) * (self.size.height - HEADER)) // self._text.lines_per_row)
        self.action_move_line(lines if pages > 0 else -lines)

    def on_click(self, event: events.Click) -> None:
        """Select the unit under the mouse."""
        offset = event.get_content_offset(self)
        if offset is not None and offset.y >= HEADER:
            line = offset.y - HEADER + self.scroll_offset.y
            unit = self._page.unit_at(line // self._text.lines_per_row, offset.x - _MARGIN)
            if unit is not None:
                self._select(unit)

    def _select(self, unit: int) -> None:
        before = self.unit
        self.unit = unit
        if self.unit != before:
            self.post_message(self.UnitSelected(self.unit))

    # What is drawn.

    def render_line(self, y: int) -> Strip:
        """The legend and the read-out on top, and below them the lines that are scrolled to."""
        width = self.scrollable_content_region.width
        if not self._page.lines:
            segments = [Segment(f" {_NOTHING}", self.rich_style)] if y == 0 else []
        elif y < HEADER:
            segments = self._text.header(y)
        else:
            segments = self._text.line(y - HEADER + self.scroll_offset.y)
        return Strip(segments).adjust_cell_length(width, self.rich_style)

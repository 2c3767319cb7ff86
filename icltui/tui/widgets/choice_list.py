"""A list of lines with a cursor, below a field that keeps the focus: only what is in sight is drawn."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from icltui.tui.draw.safe_text import CURSOR

Piece = tuple[str, Style | str]
"""A text of a line, and its own style or the name of one: ``""``, ``"quiet"``, ``"strong"`` or ``"warning"``."""


class LineOf(Protocol):
    """Draws a line of the list."""

    def __call__(self, index: int, width: int) -> Sequence[Piece]: ...


class ChoiceList(ScrollView, can_focus=False):
    """Lines to choose from; whoever holds it moves the cursor."""

    DEFAULT_CSS = """
    ChoiceList {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        & > .choice-list--quiet { color: $text-muted; }
        & > .choice-list--strong { text-style: bold; }
        & > .choice-list--warning { color: $text-warning; }
        & > .choice-list--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
            text-style: bold;
        }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"choice-list--{name}" for name in ("quiet", "strong", "warning", "cursor")
    }

    index: reactive[int] = reactive(0, repaint=False)
    """The line under the cursor."""

    class LineMoved(Message):
        """The cursor is at another line, or the line at the cursor is another one."""

    class LineChosen(Message):
        """A line was clicked."""

    def __init__(self, line_of: LineOf, id: str | None = None) -> None:
        super().__init__(id=id)
        self._line_of, self._n = line_of, 0

    @property
    def n_lines(self) -> int:
        """How many lines there are."""
        return self._n

    def show(self, n: int, at: int = 0) -> None:
        """Show ``n`` lines, the cursor ``at`` one of them."""
        self._n = n
        self.virtual_size = Size(1, n)
        self.set_reactive(ChoiceList.index, self.validate_index(at))
        self._reveal()
        self.refresh()
        self.post_message(self.LineMoved())

    def draw_line(self, index: int) -> None:
        """Draw one line again."""
        y = index - self.scroll_offset.y
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def move(self, lines: int) -> None:
        """Move the cursor by ``lines``."""
        self.index += lines

    def page(self, pages: int) -> None:
        """Move the cursor by so many screens of the list."""
        self.index += pages * max(1, self.size.height - 1)

    def validate_index(self, index: int) -> int:
        """The nearest line there is."""
        return max(0, min(index, self._n - 1))

    def watch_index(self, before: int, now: int) -> None:
        """Draw the two lines that changed, the cursor in sight."""
        self.draw_line(before)
        self._reveal()
        self.draw_line(now)
        self.post_message(self.LineMoved())

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._reveal()

    def _reveal(self) -> None:
        if self.size and self._n:
            self.scroll_to_region(
                Region(0, self.index, self.size.width, 1), animate=False, force=True, immediate=True
            )

    def on_click(self, event: Click) -> None:
        """Choose the line under the mouse."""
        offset = event.get_content_offset(self)
        if offset is not None and (index := offset.y + self.scroll_offset.y) < self._n:
            self.index = index
            self.post_message(self.LineChosen())

    def render_line(self, y: int) -> Strip:
        """One of the lines; the cursor's has a mark, and keeps the colours that are numbers."""
        width, index = self.scrollable_content_region.width, self.scroll_offset.y + y
        if not 0 <= index < self._n:
            return Strip.blank(width, self.rich_style)
        is_cursor = index == self.index
        base = self.get_component_rich_style("choice-list--cursor") if is_cursor else self.rich_style
        segments = [Segment(CURSOR + " " if is_cursor else "  ", base)]
        for text, style in self._line_of(index, width - 2):
            segments.append(Segment(text, self._style(style, base, is_cursor)))
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, style: Style | str, base: Style, is_cursor: bool) -> Style:
        if isinstance(style, Style):
            return base + style
        return base if is_cursor or not style else self.get_component_rich_style(f"choice-list--{style}")

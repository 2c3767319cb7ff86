"""A long text to scroll, drawn line by line: as widgets, all its sections would be laid out before any is seen."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from icltui.tui.widgets.vim_scroll import VimScroll

_BOLD, _DIM = Style(bold=True), Style(dim=True)


@dataclass(frozen=True)
class HelpBlock:
    """A bold head, and what it means beside it; both empty: a blank line."""

    head: str = ""
    meaning: str = ""
    column: int = 0
    """Where the meaning begins, on each of its lines."""
    is_rule: bool = False
    """Whether the head is written into a line across."""

    def lines(self, width: int) -> Iterator[tuple[str, Style, str]]:
        """What is styled, how, and what follows it, for each line of at most ``width`` cells."""
        if self.is_rule:
            yield f" {self.head} ".center(width, "─"), _DIM, ""
            return
        if not self.meaning:
            yield from ((head, _BOLD, "") for head in wrapped(self.head, width))
            return
        head = f" {self.head}".ljust(self.column) if self.head else " " * self.column
        room = width - max(self.column, cell_len(head)) - (1 if self.column else 0)
        first, *others = wrapped(self.meaning, room)
        yield head, _BOLD, first
        yield from ((" " * self.column, _BOLD, line) for line in others)


def wrapped(text: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` cells, cut between words; one line at least."""
    width = max(width, 1)
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, width) or [""]]
    return [
        piece for line in lines for piece in (chop_cells(line, width) if cell_len(line) > width else [line])
    ]


class HelpText(ScrollView, VimScroll, can_focus=True):
    """Blocks, one below the other."""

    DEFAULT_CSS = """
    HelpText { overflow-x: hidden; overflow-y: scroll; }
    """

    def __init__(self, blocks: Sequence[HelpBlock], *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self._blocks = blocks
        self._lines: list[tuple[str, Style, str]] = []
        self._width = 0

    def on_resize(self) -> None:
        """Wrap to the width."""
        width = self.scrollable_content_region.width
        if width != self._width:
            self._width = width
            self._lines = [line for block in self._blocks for line in block.lines(width)]
            self.virtual_size = Size(width, len(self._lines))
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line, with what of it is selected."""
        y += self.scroll_offset.y
        styled, style, plain = self._lines[y] if y < len(self._lines) else ("", Style(), "")
        base = self.rich_style
        strip = Strip([Segment(styled, base + style), Segment(plain, base)])
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(y)) is not None:
            start, end = span[0], strip.cell_length if span[1] == -1 else span[1]
            chosen = self.screen.get_component_rich_style("screen--selection")
            marked = Segment.apply_style(strip.crop(start, end), post_style=chosen)
            strip = Strip([*strip.crop(0, start), *marked, *strip.crop(end)])
        return strip.adjust_cell_length(self._width, base).apply_offsets(0, y)

    def get_selection(self, selection: Selection) -> tuple[str, str]:
        """What is selected."""
        return selection.extract("\n".join(styled + plain for styled, _, plain in self._lines)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002
        """Show what is selected."""
        self.refresh()

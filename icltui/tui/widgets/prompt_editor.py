"""The context and the query as text to edit, with their token counts in the border.

Any text can be loaded: characters that a terminal would obey or cannot show are drawn as one visible cell each, and a
text that was loaded and not edited comes back unchanged, line ends and all.
"""

from collections.abc import Iterable
from itertools import pairwise

from rich.containers import Lines
from rich.text import Text
from textual.document._document import Document, DocumentBase
from textual.document._document_navigator import DocumentNavigator
from textual.document._wrapped_document import WrappedDocument
from textual.geometry import Offset
from textual.strip import Strip
from textual.widgets import TextArea

from icltui.tui.cells import drawn
from icltui.tui.widgets.framed import Framed


class PromptEditor(TextArea, Framed):
    """A plain text editor; the screen decides what Escape does in it."""

    def __init__(self, title: str, *, id: str, placeholder: str) -> None:
        super().__init__(id=id, placeholder=placeholder, soft_wrap=True, tab_behavior="focus")
        self.cursor_blink = False
        self.highlight_cursor_line = False
        self._title = title
        self.show_count(None)
        self._original = self._baseline = ""
        self._row = 0
        self._wrap_as_drawn()

    def load(self, text: str) -> None:
        """Show ``text`` in place of what is there, with nothing to undo."""
        self.load_text(text)
        self._original, self._baseline = text, self.text

    def load_text(self, text: str) -> None:
        """The same, keeping no original."""
        super().load_text(text)
        self._wrap_as_drawn()

    def _wrap_as_drawn(self) -> None:
        self.wrapped_document = _Wrapped(_Drawn(self.document))
        self.navigator = DocumentNavigator(self.wrapped_document)
        self._rewrap_and_refresh_virtual_size()

    @property
    def prompt_text(self) -> str:
        """What was typed, or exactly what was loaded."""
        return self._original if self.text == self._baseline else self.text

    def copied(self) -> str:
        """What is selected, else all of it, as it was typed or loaded."""
        return self.selected_text or self.prompt_text

    def show_count(self, n_tokens: int | None) -> None:
        """Write the number of tokens into the border; None: not known."""
        self.frame(self._title, "… tok" if n_tokens is None else f"{n_tokens} tok")

    def scroll_cursor_visible(self, center: bool = False, animate: bool = False) -> Offset:
        """Scroll to the cursor, but not while an undo has yet to bring it back into the shortened text."""
        if self.cursor_location[0] >= self.document.line_count:
            return Offset(0, 0)
        return super().scroll_cursor_visible(center, animate)

    def render_line(self, y: int) -> Strip:
        """One row, remembered for :meth:`get_line`."""
        self._row = y + self.scroll_offset.y
        return super().render_line(y)

    def get_line(self, line_index: int) -> Text:
        """The line as it is drawn."""
        line = drawn(self.document.get_line(line_index))
        if not (cuts := self.wrapped_document.get_offsets(line_index)):
            return Text(line, end="", no_wrap=True)
        _, section = self.wrapped_document._offset_to_line_info[self._row]
        return _LongLine(line, cuts, section)


class _LongLine(Text):
    """A line over several rows, one of which is to be drawn.

    A TextArea divides the whole line anew for each row: a Text for every section, of which it draws one and counts the
    tabs in those before. Seconds a key in a long line; so here only that one is cut out.
    """

    def __init__(self, line: str, cuts: list[int], section: int) -> None:
        super().__init__(line, end="", no_wrap=True)
        self._cuts, self._section = cuts, section

    def divide(self, offsets: Iterable[int]) -> Lines:
        """The sections up to the one to be drawn; of those before only the tabs are kept, all in the first."""
        if offsets is not self._cuts:
            return super().divide(offsets)
        edges = [0, *self._cuts, len(self)]
        start, end = edges[self._section : self._section + 2]
        section = super().divide([start, end])[1]
        before = [Text("\t" * self.plain.count("\t", 0, start))] + [Text()] * (self._section - 1)
        return Lines([*before[: self._section], section])


class _Drawn(Document):
    """A document's lines as they are drawn, so that they wrap and carry the cursor at the widths that are seen."""

    def __init__(self, source: DocumentBase) -> None:
        super().__init__("")
        self._source = source

    @property
    def lines(self) -> list[str]:
        """All of them."""
        return [drawn(line) for line in self._source.lines]

    @property
    def line_count(self) -> int:
        """How many there are."""
        return self._source.line_count

    def __getitem__(self, index: int | slice) -> str | list[str]:  # type: ignore[override]
        """One line, or some."""
        return self.lines[index] if isinstance(index, slice) else drawn(self._source[index])


class _Wrapped(WrappedDocument):
    """Cuts a long line into plain strings at once, not by way of a Text for each."""

    def get_sections(self, line_index: int) -> list[str]:
        """The rows of a line."""
        line = self.document[line_index]
        edges = [0, *self._wrap_offsets[line_index], len(line)]
        return [line[start:end] for start, end in pairwise(edges)]

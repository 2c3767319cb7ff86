"""The context and the query as text to edit, with their token counts in the border.

Any text can be loaded: characters that a terminal would obey or cannot show are drawn as one visible cell each, and an
edit changes what was edited and nothing else, line ends and all.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from rich.containers import Lines
from rich.style import Style
from rich.text import Text
from textual.document._document import Document, DocumentBase
from textual.document._document_navigator import DocumentNavigator
from textual.document._wrapped_document import WrappedDocument
from textual.events import Paste
from textual.geometry import Offset
from textual.strip import Strip
from textual.widgets import TextArea

from icltui.tui.draw.text import drawn
from icltui.tui.widgets.bordered import Bordered
from icltui.tui.widgets.immediate_bindings import ImmediateBindings
from icltui.tui.widgets.line_feed_document import LineFeedDocument, as_pasted
from icltui.tui.widgets.messages import Noticed

PASTE_LIMIT = 200_000
"""Characters that an editor comes to by pasting: more makes each key felt, and no model here reads so much."""


class PromptEditor(TextArea, Bordered, ImmediateBindings):
    """A plain text editor; the screen decides what Escape does in it."""

    def __init__(self, title: str, *, id: str, placeholder: str) -> None:
        super().__init__(id=id, placeholder=placeholder, soft_wrap=True, tab_behavior="focus")
        self.cursor_blink = False
        self.highlight_cursor_line = False
        self._title = title
        self.show_count(None)
        self._row = 0

    def _set_document(self, text: str, language: str | None) -> None:
        super()._set_document("", language)
        self.document = LineFeedDocument(text)
        self.wrapped_document = _WrappedStrings(_PrintableDocument(self.document))
        self.navigator = DocumentNavigator(self.wrapped_document)
        self._rewrap_and_refresh_virtual_size()

    def on_paste(self, event: Paste) -> None:
        """Take it as it was copied, and no more than an editor can hold without being felt."""
        event.text = as_pasted(event.text)
        n_characters = len(self.text) - len(self.selected_text) + len(event.text)
        if n_characters > PASTE_LIMIT:
            event.prevent_default()
            event.stop()
            text = f"not pasted: the {self.id} would have {n_characters:,} characters"
            self.post_message(Noticed(f"{text}, an editor takes {PASTE_LIMIT:,}: paste less", True))

    def copied(self) -> str:
        """What is selected, else all of it."""
        return self.selected_text or self.text

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
    """A line over several rows, of which it holds the one that is to be drawn.

    A TextArea divides the whole line anew for each row and draws one section of it: seconds a key in a long line. What
    it asks for in columns of the whole line is answered from the section alone.
    """

    def __init__(self, line: str, cuts: Sequence[int], section: int) -> None:
        start, end = [0, *cuts, len(line)][section : section + 2]
        super().__init__(line[start:end], end="", no_wrap=True)
        self._start, self._n_characters, self._section = start, len(line), section
        self._is_last = section == len(cuts)
        self._tabs_before = line.count("\t", 0, start)

    def __len__(self) -> int:
        """Of the whole line."""
        return self._n_characters

    def set_length(self, new_length: int) -> None:
        """Room for the cursor behind the whole line, and so behind the last section only."""
        if self._is_last:
            self.append(" " * (new_length - self._n_characters))

    def stylize(self, style: str | Style, start: int = 0, end: int | None = None) -> None:
        """Whatever of it falls into the section."""
        last = self._n_characters + 1 if end is None else end
        first, last = max(start - self._start, 0), min(last - self._start, len(self.plain))
        if first < last:
            super().stylize(style, first, last)

    def divide(self, _offsets: Iterable[int]) -> Lines:
        """All sections, but for the tabs in them empty where they are not drawn."""
        return _Sections(self._section, self._tabs_before, Text(self.plain, spans=self.spans, no_wrap=True))


class _Sections(Lines):
    """One section that is drawn, and in front of it the tabs of those before, as if all stood in the first."""

    def __init__(self, at: int, tabs_before: int, drawn_one: Text) -> None:
        super().__init__([drawn_one])
        self._at, self._first, self._other = at, Text("\t" * tabs_before), Text()

    def __getitem__(self, index: Any) -> Any:
        """The section of this number."""
        return super().__getitem__(0) if index == self._at else self._other if index else self._first


class _PrintableDocument(Document):
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


class _WrappedStrings(WrappedDocument):
    """Cuts a long line into plain strings at once, not by way of a Text for each."""

    def get_sections(self, line_index: int) -> list[str]:
        """The rows of a line."""
        line = self.document[line_index]
        edges = [0, *self._wrap_offsets[line_index], len(line)]
        return [line[start:end] for start, end in pairwise(edges)]

"""The editors of context and query, with token counts in their borders.

Any text can be loaded: a character that is not printable is drawn as one visible cell, and an edit changes what was
edited and nothing else, line ends included.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from rich.containers import Lines
from rich.style import Style
from rich.text import Text
from textual.content import Content
from textual.document._document import Document, DocumentBase
from textual.document._document_navigator import DocumentNavigator
from textual.document._wrapped_document import WrappedDocument
from textual.events import Paste
from textual.geometry import Offset
from textual.strip import Strip
from textual.widgets import TextArea

from icltui.tui.draw.safe_text import drawn
from icltui.tui.widgets.bordered import Bordered
from icltui.tui.widgets.immediate_bindings import ImmediateBindings
from icltui.tui.widgets.line_feed_document import LineFeedDocument, as_pasted
from icltui.tui.widgets.messages import Noticed

PASTE_LIMIT = 200_000
"""Most characters that an editor holds after a paste: with more, each key takes noticeable time."""


class PromptEditor(TextArea, Bordered, ImmediateBindings):
    """A plain text editor."""

    def __init__(self, title: str, *, id: str, placeholder: str) -> None:
        super().__init__(id=id, placeholder=placeholder, soft_wrap=True, tab_behavior="focus")
        self.cursor_blink = False
        self.highlight_cursor_line = False
        self._title, self._remark = Content(title), ""
        self.show_count(None)
        self._row = 0

    def _set_document(self, text: str, language: str | None) -> None:
        super()._set_document("", language)
        self.document = LineFeedDocument(text)
        self.wrapped_document = _WrappedStrings(_PrintableDocument(self.document))
        self.navigator = DocumentNavigator(self.wrapped_document)
        self._rewrap_and_refresh_virtual_size()

    def on_paste(self, event: Paste) -> None:
        """Insert the text as it was copied; refuse one that makes the editor slow."""
        event.text = as_pasted(event.text)
        n_characters = len(self.text) - len(self.selected_text) + len(event.text)
        if n_characters > PASTE_LIMIT:
            event.prevent_default()
            event.stop()
            text = f"not pasted: the {self.id} would have {n_characters:,} characters"
            self.post_message(Noticed(f"{text}, an editor takes {PASTE_LIMIT:,}: paste less", True))

    @property
    def takes_text(self) -> bool:
        """Whether letters are text now."""
        return True

    def copied(self) -> str:
        """The selection, else the whole text."""
        return self.selected_text or self.text

    def show_count(self, n_tokens: int | None, kept: str = "", room: str = "") -> None:
        """Show the number of tokens in the border, after the ``room`` there is and what is ``kept`` before them.

        None: the number is not known. The room comes first, as a border that is too short is cut at its end.
        """
        self.remark("… tok" if n_tokens is None else f"{room}{kept}{n_tokens:,} tok")

    def remark(self, text: str) -> None:
        """Write ``text`` into the lower border."""
        self._remark = text
        self.draw_title()

    def draw_title(self) -> None:
        """Draw title and remark."""
        self.frame(self.heading, self._remark)

    @property
    def heading(self) -> Content:
        """What the upper border says."""
        return self._title

    def scroll_cursor_visible(self, center: bool = False, animate: bool = False) -> Offset:
        """Scroll to the cursor, but not while an undo has yet to bring it back into the shortened text."""
        if self.cursor_location[0] >= self.document.line_count:
            return Offset(0, 0)
        return super().scroll_cursor_visible(center, animate)

    def render_line(self, y: int) -> Strip:
        """Draw one row, and remember it for :meth:`get_line`."""
        self._row = y + self.scroll_offset.y
        return super().render_line(y)

    def get_line(self, line_index: int) -> Text:
        """The line as it is drawn; of a long line, the section of the row."""
        line = drawn(self.document.get_line(line_index))
        if not (cuts := self.wrapped_document.get_offsets(line_index)):
            return Text(line, end="", no_wrap=True)
        _, section = self.wrapped_document._offset_to_line_info[self._row]
        return _LongLine(line, cuts, section)


class _LongLine(Text):
    """One section of a line that is wrapped over several rows, in the columns of the whole line.

    A TextArea divides the whole line again for each row and draws one section of it: seconds a key in a long line.
    """

    def __init__(self, line: str, cuts: Sequence[int], section: int) -> None:
        start, end = [0, *cuts, len(line)][section : section + 2]
        super().__init__(line[start:end], end="", no_wrap=True)
        self._start, self._n_characters, self._section = start, len(line), section
        self._is_last = section == len(cuts)
        self._tabs_before = line.count("\t", 0, start)

    def __len__(self) -> int:
        """The length of the whole line."""
        return self._n_characters

    def set_length(self, new_length: int) -> None:
        """Make room for the cursor after the whole line, and so after the last section only."""
        if self._is_last:
            self.append(" " * (new_length - self._n_characters))

    def stylize(self, style: str | Style, start: int = 0, end: int | None = None) -> None:
        """Style the part that is in the section."""
        last = self._n_characters + 1 if end is None else end
        first, last = max(start - self._start, 0), min(last - self._start, len(self.plain))
        if first < last:
            super().stylize(style, first, last)

    def divide(self, _offsets: Iterable[int]) -> Lines:
        """All sections; those that are not drawn hold nothing but their tabs."""
        return _Sections(self._section, self._tabs_before, Text(self.plain, spans=self.spans, no_wrap=True))


class _Sections(Lines):
    """The section that is drawn, after the tabs of all sections before it, which the first one holds."""

    def __init__(self, at: int, tabs_before: int, drawn_one: Text) -> None:
        super().__init__([drawn_one])
        self._at, self._first, self._other = at, Text("\t" * tabs_before), Text()

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(0) if index == self._at else self._other if index else self._first


class _PrintableDocument(Document):
    """A document's lines as they are drawn, so that they are wrapped at the widths that are seen."""

    def __init__(self, source: DocumentBase) -> None:
        super().__init__("")
        self._source = source

    @property
    def lines(self) -> list[str]:
        return [drawn(line) for line in self._source.lines]

    @property
    def line_count(self) -> int:
        return self._source.line_count

    def __getitem__(self, index: int | slice) -> str | list[str]:  # type: ignore[override]
        return self.lines[index] if isinstance(index, slice) else drawn(self._source[index])


class _WrappedStrings(WrappedDocument):
    """Cuts a long line into plain strings, without a Text for each."""

    def get_sections(self, line_index: int) -> list[str]:
        line = self.document[line_index]
        edges = [0, *self._wrap_offsets[line_index], len(line)]
        return [line[start:end] for start, end in pairwise(edges)]

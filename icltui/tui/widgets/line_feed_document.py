"""The text of an editor, exactly: a line ends at a line feed and nowhere else.

Textual's own document splits where Python does, at form feeds, carriage returns and U+2028 too, and joins all lines
with one and the same end: the first edit would rewrite what nobody touched.
"""

from typing import Final

from textual.document._document import Document, EditResult, Location

LINE_FEED: Final = "\n"


class LineFeedDocument(Document):
    """``text`` to edit, in which every other separator is a character like any, a carriage return too."""

    def __init__(self, text: str) -> None:
        super().__init__("")
        self._newline = LINE_FEED
        self._lines = text.split(LINE_FEED)

    def replace_range(self, start: Location, end: Location, text: str) -> EditResult:
        """Put ``text`` in place of what lies between two locations, which may be one behind the last line."""
        (top, left), (bottom, right) = sorted((start, end))
        replaced = self.get_text_range(start, end)
        before = self._lines[top][:left]
        after = self._lines[bottom][right:] if bottom < self.line_count else ""
        *whole, last = (before + text).split(LINE_FEED)
        self._lines[top : bottom + 1] = [*whole, last + after]
        return EditResult((top + len(whole), len(last)), replaced)


def as_pasted(text: str) -> str:
    """``text`` as it was copied, which is how a terminal hands it over unless it types a return for each line end.

    Many do, as for a typed text. Then no line feed is left in it, by which it is known.

    >>> as_pasted("a\\rb"), as_pasted("a\\r\\nb\\rc\\n")
    ('a\\nb', 'a\\r\\nb\\rc\\n')
    """
    return text if LINE_FEED in text else text.replace("\r", LINE_FEED)

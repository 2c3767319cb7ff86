"""An editor's document whose lines end at a line feed and nowhere else.

Textual's Document splits lines as ``str.splitlines`` does, at form feeds, carriage returns and U+2028 too, and joins
them with one line end: the first edit would change text that nobody touched.
"""

from typing import Final

from textual.document._document import Document, EditResult, Location

LINE_FEED: Final = "\n"


class LineFeedDocument(Document):
    """A text in which every other separator is an ordinary character, a carriage return too."""

    def __init__(self, text: str) -> None:
        super().__init__("")
        self._newline = LINE_FEED
        self._lines = text.split(LINE_FEED)

    def replace_range(self, start: Location, end: Location, text: str) -> EditResult:
        """Replace the text between two locations, which may be one line after the last."""
        (top, left), (bottom, right) = sorted((start, end))
        replaced = self.get_text_range(start, end)
        before = self._lines[top][:left]
        after = self._lines[bottom][right:] if bottom < self.line_count else ""
        *whole, last = (before + text).split(LINE_FEED)
        self._lines[top : bottom + 1] = [*whole, last + after]
        return EditResult((top + len(whole), len(last)), replaced)


def as_pasted(text: str) -> str:
    """``text`` as it was copied: many terminals paste a carriage return for each line feed, and then it has none.

    >>> as_pasted("a\\rb"), as_pasted("a\\r\\nb\\rc\\n")
    ('a\\nb', 'a\\r\\nb\\rc\\n')
    """
    return text if LINE_FEED in text else text.replace("\r", LINE_FEED)

"""A field for one line of any text: what the terminal would take for a control sequence is drawn as printable text."""

import re
from typing import Any

from rich.highlighter import Highlighter
from rich.text import Text
from textual.events import Paste
from textual.widgets import Input

from icltui.tui.draw.safe_text import drawn
from icltui.tui.widgets.immediate_bindings import ImmediateBindings


class PrintableHighlighter(Highlighter):
    """Draws each character that is not printable as one that is."""

    def __call__(self, text: str | Text) -> Text:
        return Text(drawn(str(text)), no_wrap=True, overflow="ignore", end="")

    def highlight(self, text: Text) -> None:
        """Colour nothing."""


class LineInput(Input, ImmediateBindings):
    """A field whose cursor does not blink."""

    def __init__(self, value: str = "", **options: Any) -> None:
        super().__init__(value, highlighter=PrintableHighlighter(), **options)
        self.cursor_blink = False

    def on_paste(self, event: Paste) -> None:
        """Insert the first line, which ends at a line feed or a carriage return."""
        event.prevent_default()
        event.stop()
        self.replace(re.split("[\r\n]", event.text, maxsplit=1)[0], *self.selection)

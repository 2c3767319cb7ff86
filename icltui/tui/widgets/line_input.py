"""One line to type into: a path or a pasted text may hold anything, and a terminal gets nothing that it would obey."""

import re

from rich.highlighter import Highlighter
from rich.text import Text
from textual.events import Paste
from textual.widgets import Input

from icltui.tui.draw.text import drawn
from icltui.tui.widgets.immediate_bindings import ImmediateBindings


class PrintableHighlighter(Highlighter):
    """Draws each character that does not print as one that does."""

    def __call__(self, text: str | Text) -> Text:
        """The text as it is drawn."""
        return Text(drawn(str(text)), no_wrap=True, overflow="ignore", end="")

    def highlight(self, text: Text) -> None:
        """Nothing is coloured."""


class LineInput(Input, ImmediateBindings):
    """A field whose cursor stands still."""

    def __init__(
        self,
        value: str = "",
        *,
        id: str | None = None,
        placeholder: str = "",
        select_on_focus: bool = True,
        compact: bool = False,
    ) -> None:
        super().__init__(
            value,
            id=id,
            placeholder=placeholder,
            select_on_focus=select_on_focus,
            compact=compact,
            highlighter=PrintableHighlighter(),
        )
        self.cursor_blink = False

    def on_paste(self, event: Paste) -> None:
        """Take the first line of it, which ends at a line feed or a return; all else is a character of the line."""
        event.prevent_default()
        event.stop()
        self.replace(re.split("[\r\n]", event.text, maxsplit=1)[0], *self.selection)

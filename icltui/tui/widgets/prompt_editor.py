"""The context and the query as text to edit, with their token counts in the border.

Any text can be loaded: characters that a terminal would obey or cannot show are drawn as one visible cell each, and a
text that was loaded and not edited comes back unchanged, line ends and all.
"""

import re

from rich.text import Text
from textual.widgets import TextArea

from icltui.tui.widgets.framed import Framed

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _visible(match: re.Match[str]) -> str:
    """One printable character for one unsafe one, so that cursor columns stay right."""
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"


class PromptEditor(TextArea, Framed):
    """A plain text editor; the screen decides what Escape does in it."""

    def __init__(self, title: str, *, id: str, placeholder: str) -> None:
        super().__init__(id=id, placeholder=placeholder, soft_wrap=True, tab_behavior="focus")
        self.cursor_blink = False
        self.highlight_cursor_line = False
        self._title = title
        self.show_count(None)
        self._original = self._baseline = ""

    def load(self, text: str) -> None:
        """Show ``text`` in place of what is there, with nothing to undo."""
        self.load_text(text)
        self._original, self._baseline = text, self.text

    @property
    def prompt_text(self) -> str:
        """What was typed, or exactly what was loaded."""
        return self._original if self.text == self._baseline else self.text

    def show_count(self, n_tokens: int | None) -> None:
        """Write the number of tokens into the border; None: not known."""
        self.frame(self._title, "… tok" if n_tokens is None else f"{n_tokens} tok")

    def get_line(self, line_index: int) -> Text:
        """The line as it is drawn."""
        line: str = self.document.get_line(line_index)
        return Text(_UNSAFE.sub(_visible, line), end="", no_wrap=True)

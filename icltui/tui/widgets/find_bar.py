"""One line over the footer to type a word into, with the number of its matches; the screen does the finding."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.line_input import LineInput


class FindInput(LineInput):
    """The field; Escape closes the bar."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("find.back", "escape", "give_up", "Back", "Back to where the cursor was"),
    ]

    def action_give_up(self) -> None:
        """Close the bar, and have the cursor go back to where it was."""
        self.post_message(FindBar.Closed(is_kept=False))


class FindBar(Horizontal):
    """A bar that is hidden until it is opened."""

    DEFAULT_CSS = """
    FindBar {
        layer: over;
        dock: bottom;
        height: 1;
        display: none;
        background: $panel;
        & > .find--mark { width: 2; color: $accent; text-style: bold; }
        & > Input { width: 1fr; background: $panel; }
        & > .find--count { width: auto; max-width: 70%; padding: 0 1; text-style: bold; }
    }
    """

    class Changed(Message):
        """The user is typing a word."""

        def __init__(self, word: str) -> None:
            super().__init__()
            self.word = word

        def can_replace(self, message: Message) -> bool:
            """The newest word is enough."""
            return isinstance(message, FindBar.Changed)

    class Closed(Message):
        """The user closed the bar: the cursor stays at the match, or goes back."""

        def __init__(self, is_kept: bool) -> None:
            super().__init__()
            self.is_kept = is_kept

    def __init__(self, placeholder: str = "a word · enter stays at the match, esc goes back") -> None:
        super().__init__()
        self.field = FindInput(placeholder=placeholder)
        # Compact without the watcher, which would style a field that is on no screen yet.
        self.field.set_reactive(FindInput.compact, True)
        self.field.add_class("-textual-compact", update=False)
        self._count = Static("", classes="find--count", markup=False)

    def compose(self) -> ComposeResult:
        yield Static("/", classes="find--mark")
        yield self.field
        yield self._count

    def open(self, text: str = "") -> None:
        """Show a bar with ``text``, which gets the keys at once, those typed ahead too."""
        self.display = True
        self.field.value = text
        self.show_count("")
        self.screen.set_focus(self.field)

    def show_count(self, text: str) -> None:
        """Show the number of matches."""
        self._count.update(Content(text))

    @on(Input.Changed)
    def seek(self, event: Input.Changed) -> None:
        """Report the word as it is typed."""
        event.stop()
        self.post_message(self.Changed(event.value))

    @on(Input.Submitted)
    def keep(self, event: Input.Submitted) -> None:
        """Close the bar at the match."""
        event.stop()
        self.post_message(self.Changed(event.value))
        self.post_message(self.Closed(is_kept=True))

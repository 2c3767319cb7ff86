"""A question whose answer is one line of text; an error is shown below the line."""

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input, Static

from icltui.tui.dialogs.dialog import Dialog, DialogFrame
from icltui.tui.widgets.bindings import cancel_key
from icltui.tui.widgets.line_input import LineInput
from icltui.values.errors import IcltuiError


class AskTextDialog(Dialog[str | None]):
    """Closes with the line once ``check(line)`` has raised nothing, or with None.

    Args:
        title: what is asked for.
        value: the line to begin with.
        hint: shown while the line is empty.
        check: raises an IcltuiError that says what is wrong.
    """

    BINDINGS: ClassVar[list[BindingType]] = [cancel_key("ask", "Leave it as it is")]

    def __init__(
        self, title: str, value: str, hint: str, check: Callable[[str], object] = lambda _: None
    ) -> None:
        super().__init__()
        self._title, self._value, self._hint, self._check = title, value, hint, check

    def compose(self) -> ComposeResult:
        with DialogFrame(self._title, "enter accepts · esc cancels", "small"):
            yield LineInput(self._value, placeholder=self._hint)
            yield Static("", classes="error", markup=False)

    def on_mount(self) -> None:
        """Begin in the field, its text selected."""
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def take(self, submitted: Input.Submitted) -> None:
        """Close with the text, or say what is wrong."""
        try:
            self._check(submitted.value)
        except IcltuiError as error:
            self.say(str(error))
        else:
            self.dismiss(submitted.value)

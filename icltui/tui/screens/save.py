"""Where to save a session: a path to type, an answer to an existing file, and any error in place."""

import os.path
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from icltui.errors import SessionError
from icltui.session import is_example
from icltui.tui.cells import content
from icltui.tui.screens.confirm import OVERWRITE, ConfirmScreen


class SaveScreen(ModalScreen[Path | None]):
    """Closes with the path once ``write(path)`` has succeeded, or with None.

    Args:
        proposal: the path to begin with.
        write: saves, or raises SessionError.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(self, proposal: Path, write: Callable[[Path], None]) -> None:
        super().__init__()
        self._proposal, self._write = proposal, write

    def compose(self) -> ComposeResult:
        """A path, and a line for what is wrong with it."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Save session"
            dialog.border_subtitle = "enter saves · esc cancels"
            yield Input(
                str(self._proposal), id="path", placeholder="path of the session file", select_on_focus=False
            )
            yield Static("", classes="error", markup=False)

    def on_mount(self) -> None:
        """Begin behind the proposal, so that the name can be changed at once."""
        field = self.query_one(Input)
        field.cursor_blink = False
        field.focus()
        field.cursor_position = 0
        self.call_after_refresh(field.action_end)  # scrolls: the name is the part that a person wants to see

    @on(Input.Submitted)
    @work(exclusive=True)
    async def save(self, submitted: Input.Submitted) -> None:
        """Write to the path as typed; whatever stands in the way is said here."""
        path = None if is_folder(submitted.value) else session_path(submitted.value)
        if is_folder(submitted.value) or (path and is_folder(str(path))):
            self._complain("that is a folder: add a file name")
        elif path is None:
            self._complain("no name: type the path of the file to save to")
        elif is_example(path):
            self._complain("this is one of the examples, which are kept as they are: choose another name")
        elif not os.path.exists(path) or await self._may_overwrite(path):
            try:
                self._write(path)
            except SessionError as error:
                self._complain(str(error))
            else:
                self.dismiss(path)

    async def _may_overwrite(self, path: Path) -> bool:
        question = ConfirmScreen(f"{path.name} exists. Overwrite it?", OVERWRITE)
        return await self.app.push_screen_wait(question) == "Overwrite"

    def _complain(self, text: str) -> None:
        self.query_one(".error", Static).update(content(text))


def is_folder(text: str) -> bool:
    """Whether ``text`` names a folder that is there; what cannot be looked at is none."""
    return os.path.isdir(os.path.expanduser(text.strip()))


def session_path(text: str) -> Path | None:
    """The path that ``text`` means: ``~`` is the home folder, ``.json`` is added; None if there is no name."""
    text = text.strip()
    if not text or text.endswith(("/", "\\")) or "\0" in text:
        return None
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        path = Path(text)
    return path if path.suffix == ".json" else path.with_name(path.name + ".json")

"""Which session to open: the user's own and the examples in a list, any other by its path."""

import asyncio
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from icltui.storage.paths import example_sessions, real_path, sessions_folder, typed_path
from icltui.storage.sessions import read_session, session_title
from icltui.tui.dialogs.dialog import Dialog, DialogFrame
from icltui.tui.draw.safe_text import content, display
from icltui.tui.widgets.bindings import cancel_key
from icltui.tui.widgets.line_input import LineInput
from icltui.values import Session
from icltui.values.errors import BadInput

Opened = tuple[Session, Path]


def known_sessions() -> list[Path]:
    """The user's sessions, newest first, then the examples; each file once."""
    folder = sessions_folder()
    own = sorted(folder.glob("*.json") if folder.is_dir() else (), key=_written, reverse=True)
    examples = example_sessions()
    shipped = {*map(real_path, examples)}
    return [*(path for path in own if real_path(path) not in shipped), *examples]


def _written(path: Path) -> float:
    """The time of the last change; 0 of a file that is gone or of a broken link."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


class OpenSessionDialog(Dialog[Opened | None]):
    """Closes with a session that could be read and its path, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [cancel_key("open", "Open nothing")]

    def __init__(self, title: str = "Open session", verb: str = "opens") -> None:
        super().__init__()
        self._title, self._verb = title, verb
        self._paths = known_sessions()

    def compose(self) -> ComposeResult:
        with DialogFrame(self._title, f"enter {self._verb} · esc cancels"):
            yield OptionList(*map(self._option, self._paths), id="sessions", markup=False)
            yield LineInput(
                id="path", placeholder=f"{'or ' if self._paths else ''}the path of a session file"
            )
            yield Static("", classes="error", markup=False)

    def _option(self, path: Path) -> Option:
        folder = "example" if path in example_sessions() else display(str(path.parent))
        return Option(Content.assemble(content(session_title(path)), (f"  {folder}", "dim")))

    def on_mount(self) -> None:
        """Begin in the list, or in the path where there is no list."""
        self.query_one(OptionList).display = bool(self._paths)
        self.query_one(OptionList if self._paths else Input).focus()

    @on(OptionList.OptionSelected)
    def open_listed(self, selected: OptionList.OptionSelected) -> None:
        """Open the session under the cursor."""
        self._open(str(self._paths[selected.option_index]))

    @on(Input.Submitted)
    def open_typed(self, submitted: Input.Submitted) -> None:
        """Open the session at the path as typed."""
        if submitted.value.strip():
            self._open(submitted.value.strip())

    @work(exclusive=True)
    async def _open(self, text: str) -> None:
        """Read on a thread: a large session takes seconds, in which the user may choose another or press Escape."""
        self.say("reading …")
        try:
            path = typed_path(text)
            session = await asyncio.to_thread(read_session, path)
        except BadInput as error:
            self.say(str(error))
        else:
            self.dismiss((session, path))

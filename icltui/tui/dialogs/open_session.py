"""The launcher, and the list of sessions: those used last, the examples, any other by its path.

It opens at once with the files' names. What is in them comes from an index, or is read on a thread, newest first.
"""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input, Static

from icltui.storage.paths import typed_path
from icltui.storage.session_index import SessionFacts, SessionIndex
from icltui.storage.sessions import read_session
from icltui.tui.dialogs.dialog import Dialog, DialogFrame
from icltui.tui.draw.colormap import ramp
from icltui.tui.draw.session_lines import session_line, session_preview
from icltui.tui.state.session_list import SessionEntry, known_sessions
from icltui.tui.system.path_completion import is_path
from icltui.tui.widgets.bindings import cancel_key, key_binding
from icltui.tui.widgets.choice_list import ChoiceList, Piece
from icltui.tui.widgets.line_input import LineInput
from icltui.values import Session
from icltui.values.errors import BadInput

Opened = tuple[Session, Path]
_READ_FOR = 0.03
"""Seconds of reading until what was read is shown."""


class OpenSessionDialog(Dialog[Opened | None]):
    """Closes with a session that could be read and its path, or with None.

    Args:
        title: of the frame; empty at the start of the program, where it says what the enter key does.
        verb: what the enter key does with the session under the cursor.
        leave: what the escape key does.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        cancel_key("open", "Open nothing"),
        key_binding("open.down", "down", "move(1)", "Down", "One session down"),
        key_binding("open.up", "up", "move(-1)", "Up", "One session up"),
        key_binding("open.page_down", "pagedown", "page(1)", "Page down", "A page down"),
        key_binding("open.page_up", "pageup", "page(-1)", "Page up", "A page up"),
    ]

    def __init__(self, title: str = "Open session", verb: str = "opens", leave: str = "cancels") -> None:
        super().__init__()
        self._is_start, self._title = not title, title or "icltui"
        self._keys = f"type to filter · ↑↓ move · enter {verb} · esc {leave}"
        self._all: list[SessionEntry] = []
        self._shown: list[SessionEntry] = []
        self._is_listed = self._is_enter_typed = False
        self._now = datetime.now()

    def compose(self) -> ComposeResult:
        with DialogFrame(self._title, self._keys, "sessions"):
            yield LineInput(
                id="path",
                placeholder="a word of name, model, note or text, or the path of a file",
                compact=True,
            )
            yield ChoiceList(self._line, id="sessions")
            yield Static("", id="preview", markup=False)
            yield Static("", classes="error", markup=False)

    def on_mount(self) -> None:
        """Begin in the field, above the list."""
        self.query_one(".error").display = False
        self.query_one(Input).focus()
        self._list_all()

    # The list.

    @property
    def entry(self) -> SessionEntry | None:
        """The session under the cursor."""
        return self._shown[self.query_one(ChoiceList).index] if self._shown else None

    @work(exclusive=True, group="list")
    async def _list_all(self) -> None:
        """List the names at once, then what is in the files."""
        self._all = await asyncio.to_thread(known_sessions)
        self._is_listed = True
        if self._is_start and self._all:
            what = "opens the first example" if self._all[0].is_example else "continues where you stopped"
            self.query_one(DialogFrame).border_title = f"icltui: enter {what}"
        self._filter()
        if self._is_enter_typed:
            self._open_chosen()
        index = await asyncio.to_thread(SessionIndex)
        paths = iter([entry.path for entry in self._all])
        at = 0
        while found := await asyncio.to_thread(_read_some, index, paths):
            for facts in found:
                self._take(at, facts)
                at += 1
            self._show_facts()
        await asyncio.to_thread(index.keep)

    def _take(self, at: int, facts: SessionFacts) -> None:
        before, self._all[at] = self._all[at], self._all[at].with_facts(facts)
        for place, entry in enumerate(self._shown):
            if entry is before:
                self._shown[place] = self._all[at]

    def _show_facts(self) -> None:
        """Draw the lines again; where words are looked for, what was read may have them."""
        if self.query_one(Input).value.strip():
            self._filter()
        else:
            self.query_one(ChoiceList).refresh()
            self._draw_preview()

    @on(Input.Changed)
    def follow_words(self) -> None:
        """List what the words are found in."""
        self.query_one(".error").display = False
        self._filter()

    def _filter(self) -> None:
        text, before = self.query_one(Input).value.strip().lower(), self.entry
        words = text.split()
        self._shown = [] if is_path(text) else [entry for entry in self._all if entry.holds(words)]
        paths = [entry.path for entry in self._shown]
        at = paths.index(before.path) if before and before.path in paths and self._has_moved else 0
        self.query_one(ChoiceList).show(len(self._shown), at)

    _has_moved = False
    """Whether the user chose the line; until then it is the first."""

    def action_move(self, lines: int) -> None:
        """Move the cursor by ``lines``."""
        self._has_moved = True
        self.query_one(ChoiceList).move(lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by so many screens."""
        self._has_moved = True
        self.query_one(ChoiceList).page(pages)

    def _line(self, index: int, width: int) -> list[Piece]:
        return session_line(self._shown[index], width, self._now, ramp(self.app))

    @on(ChoiceList.LineMoved)
    def _draw_preview(self) -> None:
        preview = self.query_one("#preview", Static)
        preview.update(session_preview(self.entry, preview.size.width or 70))

    # The way out.

    @on(ChoiceList.LineChosen)
    def open_clicked(self) -> None:
        """Open the session under the mouse."""
        self._open_chosen()

    @on(Input.Submitted)
    def open_typed(self) -> None:
        """Open the session under the cursor; what is in no list is a path."""
        if self._is_listed:
            self._open_chosen()
        else:
            self._is_enter_typed = True

    def _open_chosen(self) -> None:
        if (entry := self.entry) is not None:
            self._open(str(entry.path))
        elif text := self.query_one(Input).value.strip():
            self._open(text)

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


def _read_some(index: SessionIndex, paths: Iterator[Path]) -> list[SessionFacts]:
    """The facts of the next files, as many as can be read in a moment; none once all are read."""
    found, begin = list[SessionFacts](), monotonic()
    for path in paths:
        found.append(index.read(path))
        if monotonic() - begin > _READ_FOR:
            break
    return found

"""The queries that a compiled patch is fitted on and those that it is tested on: two editors, a query on each line.

A file's queries are added to the list that had the focus last, as an edit that can be undone.
"""

import asyncio
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.events import DescendantFocus
from textual.widgets import Input, Static, TextArea

from icltui.tui.dialogs.dialog import Dialog, DialogFrame
from icltui.tui.draw.safe_text import content
from icltui.tui.state.query_lists import QueryLists, ReadQueries, count_words, read_lists, text_of
from icltui.tui.state.settings_form import queries_of_file
from icltui.tui.system.path_completion import candidates, completed, is_path
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.line_input import LineInput
from icltui.tui.widgets.messages import Noticed
from icltui.tui.widgets.prompt_editor import PASTE_LIMIT, PromptEditor
from icltui.values.errors import BadInput

_KEYS = "^s keeps · tab next · ^l file · esc cancels"
_NOTHING = "empty: a run fits the prompt's own query, W what the model writes"


class QueriesDialog(Dialog[QueryLists | None]):
    """Closes with both lists as they are typed, or with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("queries.cancel", "escape", "leave", "Cancel", "Leave both lists as they were"),
        key_binding("queries.keep", "ctrl+s,ctrl+r", "keep", "Keep", "Keep both lists"),
        key_binding("queries.file", "ctrl+l,f3", "ask_file", "File", "Name a file whose queries are added"),
        key_binding("queries.next", "tab", "complete", "Next", "Complete a path, or go on"),
    ]

    def __init__(self, lists: QueryLists) -> None:
        super().__init__()
        self._before = lists
        self._fitted = PromptEditor("Calibration: fitted", id="calibration", placeholder=_NOTHING)
        self._held_out = PromptEditor("Held out: tested", id="held-out", placeholder="a query on each line")
        self._texts = text_of(lists.fitted), text_of(lists.held_out)
        self._list = self._fitted
        """The list that a file is added to."""
        self._is_asked = False
        """Whether Escape was pressed on edited lists."""

    def compose(self) -> ComposeResult:
        with DialogFrame("Queries, one on each line", _KEYS, "queries"):
            yield self._fitted
            yield self._held_out
            yield LineInput(id="file", compact=True)
            yield Static("", classes="error", markup=False)

    def on_mount(self) -> None:
        """Begin after the last query that is fitted."""
        for editor, text in zip((self._fitted, self._held_out), self._texts, strict=True):
            editor.load_text(text)
            editor.move_cursor(editor.document.end)
        self._fitted.focus()
        self._name_list()

    @property
    def _is_edited(self) -> bool:
        return (self._fitted.text, self._held_out.text) != self._texts

    # Typing.

    @on(TextArea.Changed)
    def draw_counts(self) -> None:
        """Count the queries in the borders, and say which lines are in no list."""
        self._is_asked = False
        if (read := self._read()) is not None:
            self.say(read.left_out)
            for editor, queries in (
                (self._fitted, read.lists.fitted),
                (self._held_out, read.lists.held_out),
            ):
                editor.remark(count_words(len(queries)))

    def _read(self) -> ReadQueries | None:
        try:
            return read_lists(self._fitted.text, self._held_out.text)
        except BadInput as error:
            self.say(str(error))
            return None

    @on(DescendantFocus)
    def note_list(self, event: DescendantFocus) -> None:
        """Remember the list that a file is for."""
        if isinstance(event.widget, PromptEditor):
            self._list = event.widget
            self._name_list()

    def _name_list(self) -> None:
        name = "calibration" if self._list is self._fitted else "held-out queries"
        self.query_one(Input).placeholder = f"a file, one query on each line: enter adds it to the {name}"

    @on(Noticed)
    def tell(self, event: Noticed) -> None:
        """Say why an editor took no paste."""
        event.stop()
        self.say(event.text)

    # A file.

    def action_ask_file(self) -> None:
        """Go to the file's field."""
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def add_file(self, event: Input.Submitted) -> None:
        """Add the queries of the file."""
        self._add_file(event.value, self._list)

    @work(exclusive=True, group="file")
    async def _add_file(self, name: str, editor: PromptEditor) -> None:
        try:
            if not name.strip():
                raise BadInput("no file: type its path")
            text = text_of(await asyncio.to_thread(queries_of_file, name))
            start = "\n" if editor.text and not editor.text.endswith("\n") else ""
            if (n := len(editor.text) + len(start) + len(text)) > PASTE_LIMIT:
                raise BadInput(
                    f"not added: the list would have {n:,} characters, an editor takes {PASTE_LIMIT:,}: "
                    "name the file in the settings (o), which take a larger one"
                )
        except BadInput as error:
            self.say(str(error))
            return
        editor.insert(start + text, editor.document.end)
        self.query_one(Input).clear()
        editor.focus()

    @work(exclusive=True, group="complete")
    async def action_complete(self) -> None:
        """Complete the path as far as it is unique; else move the focus on."""
        field = self.query_one(Input)
        if self.focused is field and is_path(text := field.value):
            longer = completed(text, await asyncio.to_thread(candidates, text, ""))
            if longer != text:
                field.value, field.cursor_position = longer, len(longer)
                return
        self.focus_next()

    # The way out.

    def action_keep(self) -> None:
        """Close with both lists; lists that nobody edited stay as they are."""
        if not self._is_edited:
            self.dismiss(self._before)
        elif (read := self._read()) is not None:
            self.dismiss(read.lists)

    def action_leave(self) -> None:
        """Close without them; edited ones are asked about once."""
        if self._is_edited and not self._is_asked:
            self._is_asked = True
            self.query_one(".error", Static).update(
                content("edited: esc again drops the changes, ^s keeps them")
            )
        else:
            self.dismiss(None)

"""The palette: every action by any word of it, and after ``/`` commands with an argument, one line each."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input

from icltui.tui.actions.palette_entries import PaletteEntry, PaletteOffers, Word
from icltui.tui.dialogs.dialog import Dialog, DialogFrame
from icltui.tui.draw.safe_text import fit
from icltui.tui.widgets.bindings import cancel_key, key_binding
from icltui.tui.widgets.choice_list import ChoiceList, Piece
from icltui.tui.widgets.line_input import LineInput

_TITLE, _KEYS = 18, 6
_WIDEST_TITLE = 34


class Palette(Dialog[str | None]):
    """Closes with the action to run, or with None.

    Args:
        offers: what is found.
        text: what the field begins with.
        read_words: reads what arguments can be, on a thread.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        cancel_key("palette", "Do nothing"),
        key_binding("palette.down", "down", "move(1)", "Down", "One line down"),
        key_binding("palette.up", "up", "move(-1)", "Up", "One line up"),
        key_binding("palette.page_down", "pagedown", "page(1)", "Page down", "A page down"),
        key_binding("palette.page_up", "pageup", "page(-1)", "Page up", "A page up"),
        key_binding("palette.complete", "tab", "complete", "Complete", "Complete the command"),
    ]

    def __init__(
        self,
        offers: PaletteOffers,
        text: str = "",
        read_words: Callable[[], Mapping[str, Sequence[Word]]] = dict,
    ) -> None:
        super().__init__()
        self._offers, self._text, self._read_words = offers, text, read_words
        self._entries: list[PaletteEntry] = []

    def compose(self) -> ComposeResult:
        keys = "↑↓ move · tab completes · enter runs · esc cancels"
        with DialogFrame("Palette", keys, "palette"):
            yield LineInput(
                self._text,
                placeholder="an action by any word, or a command: /alpha 0.5",
                compact=True,
                select_on_focus=False,
            )
            yield ChoiceList(self._line)

    def on_mount(self) -> None:
        """Begin in the field."""
        self.query_one(Input).focus()
        self.query_one(Input).action_end()
        self._list()
        self._take_words()

    @work
    async def _take_words(self) -> None:
        """What arguments can be, as soon as the disk has told it."""
        words = await asyncio.to_thread(self._read_words)
        self._offers = replace(self._offers, words=words)
        if self.query_one(Input).value.startswith("/"):
            self._list()

    @on(Input.Changed)
    def _list(self) -> None:
        self._entries = self._offers.entries(self.query_one(Input).value)
        self.query_one(ChoiceList).show(len(self._entries))

    def _line(self, index: int, width: int) -> list[Piece]:
        """Title and keys on the left, in columns; what it does on the right."""
        entry = self._entries[index]
        n = min(max(_TITLE, *(len(each.title) for each in self._entries)), _WIDEST_TITLE, width)
        keys = (
            ""
            if entry.title.startswith("/")
            else f"{fit(entry.keys, _KEYS) if entry.keys else ' ' * _KEYS}  "
        )
        rest = max(width - n - 2 - len(keys), 0)
        return [
            (fit(entry.title, n) + "  ", "strong"),
            (keys, ""),
            (fit(entry.help, rest), "warning" if entry.is_fault else "quiet"),
        ]

    def action_move(self, lines: int) -> None:
        """Move the cursor by ``lines``."""
        self.query_one(ChoiceList).move(lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by so many screens."""
        self.query_one(ChoiceList).page(pages)

    def action_complete(self) -> None:
        """Write the line under the cursor into the field."""
        if entry := self._entry:
            self._write(entry.completion or entry.title)

    @property
    def _entry(self) -> PaletteEntry | None:
        return self._entries[self.query_one(ChoiceList).index] if self._entries else None

    def _write(self, text: str) -> None:
        field = self.query_one(Input)
        field.value = text
        field.action_end()

    @on(Input.Submitted)
    @on(ChoiceList.LineChosen)
    def take(self) -> None:
        """Run the line under the cursor; of a command that lacks its argument, ask for that."""
        if (entry := self._entry) is None or entry.is_fault:
            self.app.bell()
        elif entry.action:
            self.dismiss(entry.action)
        else:
            self.action_complete()

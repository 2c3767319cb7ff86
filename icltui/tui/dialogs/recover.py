"""Unsaved work that an earlier program left: open it, keep it for later, or delete it."""

import asyncio
from datetime import UTC, datetime
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from icltui.storage.sessions import read_session
from icltui.tui.dialogs.confirm import ConfirmDialog
from icltui.tui.dialogs.dialog import Dialog, DialogFrame, key_hints
from icltui.tui.draw.safe_text import content
from icltui.tui.system.autosave import Orphan
from icltui.tui.widgets.bindings import key_binding
from icltui.values import Session
from icltui.values.errors import SessionError, reason_of

DELETE = {"d": "Delete", "c": "Cancel"}
_KEYS = (("enter", "open"), ("d", "delete"), ("esc", "keep for later"))


class RecoverDialog(Dialog[tuple[Orphan, Session] | None]):
    """Closes with the work to go on with, or with None; nothing is deleted without being asked for.

    Args:
        found: newest first, at least one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("recover.keep", "escape", "dismiss(None)", "Keep for later", "Decide at the next start"),
        key_binding("recover.delete", "d,delete", "delete", "Delete", "Delete the file for good"),
    ]

    def __init__(self, found: list[Orphan]) -> None:
        super().__init__()
        self._found = list(found)

    def compose(self) -> ComposeResult:
        with DialogFrame("Unsaved work", ""):
            yield Static(
                "icltui ended before this was saved. Open it again?", markup=False, classes="section"
            )
            yield OptionList(*map(_option, self._found), markup=False)
            yield Static("", classes="error", markup=False)
            yield Static(key_hints(_KEYS), classes="answers")

    def on_mount(self) -> None:
        """Begin in the list."""
        self.query_one(".error").display = False
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    @work(exclusive=True)
    async def open(self, selected: OptionList.OptionSelected) -> None:
        """Go on with the work under the cursor."""
        orphan = self._found[selected.option_index]
        try:
            session = await asyncio.to_thread(read_session, orphan.path)
        except SessionError as error:
            self.say(str(error))
        else:
            self.dismiss((orphan, session))

    @work(exclusive=True)
    async def action_delete(self) -> None:
        """Delete the work under the cursor, after a question."""
        place = self.query_one(OptionList).highlighted
        if place is None:
            return
        orphan = self._found[place]
        question = ConfirmDialog(f"Delete {orphan.title}? It is in no other file.", DELETE)
        if await self.app.push_screen_wait(question) != "Delete":
            return
        try:
            orphan.delete()
        except OSError as error:
            self.say(f"cannot delete {orphan.path}: {reason_of(error)}")
            return
        self._found.remove(orphan)
        self.query_one(OptionList).remove_option_at_index(place)
        if not self._found:
            self.dismiss(None)


def _option(orphan: Orphan) -> Option:
    facts = [ago(orphan.moment, datetime.now(UTC)), f"on {orphan.host}" if orphan.host else ""]
    facts += ["edited after its run"] if orphan.is_draft else []
    text = "  " + " · ".join(filter(None, facts))
    return Option(Content.assemble(content(orphan.title), (text, "dim")))


def ago(moment: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that fits.

    >>> ago(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC))
    '2 days ago'
    """
    seconds = max(0, int((now - moment).total_seconds()))
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if n := seconds // size:
            return f"{n} {unit}{'s' if n > 1 else ''} ago"
    return "just now"

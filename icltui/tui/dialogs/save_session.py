"""Where to save a session: a field for the path; after a failure, a list of other folders."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from icltui.storage.paths import is_example
from icltui.text.units import in_bytes
from icltui.tui.dialogs.dialog import Dialog, DialogFrame
from icltui.tui.dialogs.file_to_write import file_to_write, may_overwrite
from icltui.tui.draw.safe_text import content
from icltui.tui.system.fallback_paths import FallbackPath, fallback_paths
from icltui.tui.widgets.bindings import cancel_key
from icltui.tui.widgets.line_input import LineInput
from icltui.values.errors import BadInput, SessionError


class SaveSessionDialog(Dialog[Path | None]):
    """Closes with the path once ``write(path)`` has succeeded, or with None; a failure offers other folders.

    Args:
        proposal: the path to begin with.
        write: saves, or raises SessionError.
        complaint: why it could not be saved there.
    """

    BINDINGS: ClassVar[list[BindingType]] = [cancel_key("save", "Save nothing")]

    def __init__(self, proposal: Path, write: Callable[[Path], Awaitable[None]], complaint: str = "") -> None:
        super().__init__()
        self._proposal, self._write, self._first_complaint = proposal, write, complaint
        self._places: list[FallbackPath] = []

    def compose(self) -> ComposeResult:
        with DialogFrame("Save session", "enter saves · esc cancels"):
            yield LineInput(
                str(self._proposal), id="path", placeholder="path of the session file", select_on_focus=False
            )
            yield Static("", classes="error", markup=False)
            yield OptionList(id="places", markup=False)

    def on_mount(self) -> None:
        """Begin after the proposal, so that the name can be changed at once."""
        field = self.query_one(Input)
        self.query_one(OptionList).display = False
        field.focus()
        field.cursor_position = 0
        self.call_after_refresh(field.action_end)  # scrolls: the name is the part that a person wants to see
        if self._first_complaint:
            self._offer_places(self._proposal, self._first_complaint)

    @on(Input.Submitted)
    def save_typed(self, submitted: Input.Submitted) -> None:
        """Write to the typed path."""
        self._save(submitted.value)

    @on(OptionList.OptionSelected)
    def save_there(self, selected: OptionList.OptionSelected) -> None:
        """Write to another folder."""
        path = str(self._places[selected.option_index].path)
        self.query_one(Input).value = path
        self._save(path)

    @work(exclusive=True)
    async def _save(self, text: str) -> None:
        try:
            path = file_to_write(self._beside_proposal(text), ".json", is_suffix_fixed=True)
        except BadInput as error:
            self.say(str(error))
            return
        if is_example(path):
            self.say("this is one of the examples, which are kept as they are: choose another name")
        elif not os.path.exists(path) or await may_overwrite(self.app, path):
            try:
                await self._write(path)
            except SessionError as error:
                self._offer_places(path, str(error))
            else:
                self.dismiss(path)

    def _beside_proposal(self, text: str) -> str:
        """A name alone is beside what was proposed, not wherever the program was started."""
        name = text.strip()
        is_name = name and os.sep not in name and not name.startswith("~") and not os.path.isdir(name)
        return str(self._proposal.parent / name) if is_name else name

    def _offer_places(self, path: Path, complaint: str) -> None:
        """Say why ``path`` could not be written, and list folders with room."""
        self._places = fallback_paths(path)
        self.say(f"{complaint} — nothing is lost: the work stays in memory")
        choice = self.query_one(OptionList)
        choice.clear_options().add_options(map(_option, self._places))
        choice.display = bool(self._places)
        if self._places:
            self.query_one(
                ".dialog"
            ).border_subtitle = "enter saves there · shift+tab to the path · esc cancels"
            choice.highlighted = 0
            choice.focus()


def _option(place: FallbackPath) -> Option:
    return Option(Content.assemble(content(str(place.path)), (f"  {in_bytes(place.free)} free", "dim")))

"""Where to save a session: its name, ready to be typed over, and its folder; after a failure, other folders."""

import os
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
from icltui.values.errors import BadInput


class SaveSessionDialog(Dialog[Path | None]):
    """Closes with a path that may be written, or with None.

    Args:
        proposal: the path to begin with.
        complaint: why it could not be saved there; other folders are offered then.
    """

    BINDINGS: ClassVar[list[BindingType]] = [cancel_key("save", "Save nothing")]

    def __init__(self, proposal: Path, complaint: str = "") -> None:
        super().__init__()
        self._proposal, self._complaint = proposal, complaint
        self._places: list[FallbackPath] = []

    def compose(self) -> ComposeResult:
        with DialogFrame("Save session", "enter saves · esc cancels"):
            yield LineInput(self._proposal.stem, id="name", placeholder="a name, or a path")
            yield LineInput(str(self._proposal.parent), id="folder", placeholder="its folder")
            yield Static("", classes="error", markup=False)
            yield OptionList(id="places", markup=False)

    def on_mount(self) -> None:
        """Begin in the name, all of it selected: what is typed takes its place."""
        self.query_one(OptionList).display = False
        self.query_one("#name", Input).focus()
        if self._complaint:
            self._offer_places()

    @on(Input.Submitted)
    def save_typed(self) -> None:
        """Save under the typed name."""
        self._save(self._path())

    @on(OptionList.OptionSelected)
    def save_there(self, selected: OptionList.OptionSelected) -> None:
        """Save in another folder."""
        path = self._places[selected.option_index].path
        self.query_one("#name", Input).value = path.stem
        self.query_one("#folder", Input).value = str(path.parent)
        self._save(str(path))

    @work(exclusive=True)
    async def _save(self, text: str) -> None:
        try:
            path = file_to_write(text, ".json", is_suffix_fixed=True)
        except BadInput as error:
            self.say(str(error))
            return
        if is_example(path):
            self.say("this is one of the examples, which are kept as they are: choose another name")
        elif not os.path.exists(path) or await may_overwrite(self.app, path):
            self.dismiss(path)

    def _path(self) -> str:
        """The typed path; a name alone is in the folder, not wherever the program was started."""
        name = self.query_one("#name", Input).value.strip()
        folder = self.query_one("#folder", Input).value.strip()
        is_name = name and os.sep not in name and not name.startswith("~") and not os.path.isdir(name)
        return os.path.join(folder or str(self._proposal.parent), name) if is_name else name

    def _offer_places(self) -> None:
        """Say why the proposal could not be written, and list folders with room."""
        self._places = fallback_paths(self._proposal)
        self.say(f"{self._complaint} — nothing is lost: the work stays in memory")
        choice = self.query_one(OptionList)
        choice.clear_options().add_options(map(_option, self._places))
        choice.display = bool(self._places)
        if self._places:
            self.query_one(
                ".dialog"
            ).border_subtitle = "enter saves there · shift+tab to the name · esc cancels"
            choice.highlighted = 0
            choice.focus()


def _option(place: FallbackPath) -> Option:
    return Option(Content.assemble(content(str(place.path)), (f"  {in_bytes(place.free)} free", "dim")))

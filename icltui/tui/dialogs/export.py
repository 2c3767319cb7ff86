"""What to export and where to: a list, a path, an answer to an existing file, and any error in place."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from icltui.storage.atomic import is_taken, write_file
from icltui.storage.paths import typed_path
from icltui.tui.dialogs.confirm import OVERWRITE, ConfirmDialog
from icltui.tui.dialogs.dialog import Dialog
from icltui.tui.dialogs.save_session import is_folder
from icltui.tui.draw.text import content
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.line_input import LineInput
from icltui.values import ExportFormat
from icltui.values.errors import BadInput


@dataclass(frozen=True)
class ExportOption:
    """Something that can be exported.

    ``make`` gives its bytes; where it is None the engine writes ``form`` itself.
    """

    label: str
    words: str
    proposal: Path
    make: Callable[[], Awaitable[bytes]] | None = None
    is_record: bool = False
    """Whether it is of the session, which may lack something that the screen shows."""
    form: ExportFormat | None = None


class ExportDialog(Dialog[tuple[ExportOption, Path] | None]):
    """Closes with the offer and the path once the file is there, or the engine's part can be asked for; else None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("export.cancel", "escape", "dismiss(None)", "Cancel", "Export nothing")
    ]

    def __init__(self, offers: list[ExportOption]) -> None:
        super().__init__()
        self._offers, self._offer, self._is_busy = offers, offers[0], False

    def compose(self) -> ComposeResult:
        """The list, a path, and a line for what is wrong with it."""
        with Vertical(classes="dialog export") as dialog:
            dialog.border_title = f"Export: {self._offer.label}"
            dialog.border_subtitle = "↑↓ what · tab where · enter exports · esc cancels"
            yield OptionList(*map(self._option, self._offers), id="offers", markup=False, compact=True)
            yield LineInput(str(self._offer.proposal), id="path", placeholder="path", select_on_focus=False)
            yield Static("", classes="error", markup=False)

    def _option(self, offer: ExportOption) -> Option:
        label = offer.label.ljust(max(len(each.label) for each in self._offers))
        return Option(Content.assemble(f"{label}  ", (offer.words, "$foreground-muted")))

    def on_mount(self) -> None:
        """Begin in the list."""
        self.query_one(OptionList).focus()

    @on(OptionList.OptionHighlighted)
    def propose(self, highlighted: OptionList.OptionHighlighted) -> None:
        """Another name, unless the user typed one: of that only the ending changes."""
        before, self._offer = self._offer, self._offers[highlighted.option_index]
        self.query_one(".dialog").border_title = f"Export: {self._offer.label}"
        field = self.query_one(Input)
        if field.value == str(before.proposal):
            field.value = str(self._offer.proposal)
        elif field.value.endswith(before.proposal.suffix):
            field.value = field.value.removesuffix(before.proposal.suffix) + self._offer.proposal.suffix
        field.action_end()
        self._say("")

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    def export(self) -> None:
        """Write what is under the cursor to the path as typed."""
        if not self._is_busy:
            self._export(self._offer, self.query_one(Input).value)

    @work(exclusive=True)
    async def _export(self, offer: ExportOption, text: str) -> None:
        self._is_busy = True
        try:
            path = target_path(text, offer.proposal.suffix)
            if await self._is_done(offer, path):
                self.dismiss((offer, path))
        except BadInput as error:
            self._say(str(error))
        finally:
            self._is_busy = False

    async def _is_done(self, offer: ExportOption, path: Path) -> bool:
        is_there = is_taken(path)
        if offer.make is None:
            if is_there:
                raise BadInput(f"{path.name} exists already: choose another name")
            return True
        if is_there and not await self._may_overwrite(path):
            return False
        self._say(f"making the {offer.label} …", "")
        data = await offer.make()
        await asyncio.to_thread(write_file, path, data, may_replace=is_there)
        return True

    async def _may_overwrite(self, path: Path) -> bool:
        question = ConfirmDialog(f"{path.name} exists. Overwrite it?", OVERWRITE)
        return await self.app.push_screen_wait(question) == "Overwrite"

    def _say(self, text: str, style: str = "$text-error") -> None:
        self.query_one(".error", Static).update(content(text, style) if text else "")


def target_path(text: str, suffix: str) -> Path:
    """The path that ``text`` means: ``~`` is the home folder; without an ending it gets ``suffix``.

    Raises:
        BadInput: it names a folder that is there, or nothing, or no file can have that name.
    """
    text = text.strip()
    if not text or text.endswith(("/", "\\")) or is_folder(text):
        raise BadInput("that is a folder: add a name" if text else "no name: type a path")
    path = typed_path(text)
    return path if path.suffix or not suffix else path.with_name(path.name + suffix)

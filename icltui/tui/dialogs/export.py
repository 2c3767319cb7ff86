"""What to export and where to: a list and a path; an error is shown below."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from icltui.storage.atomic import path_is_taken, write_file
from icltui.tui.dialogs.dialog import Dialog, DialogFrame
from icltui.tui.dialogs.file_to_write import file_to_write, may_overwrite
from icltui.tui.widgets.bindings import cancel_key
from icltui.tui.widgets.line_input import LineInput
from icltui.values import CompiledFormat, ExportFormat
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
    """Whether it is made from the session, which may lack something that the screen shows."""
    form: ExportFormat | None = None
    compiled: CompiledFormat | None = None
    """The format of what the engine compiles and writes."""


class ExportDialog(Dialog[tuple[ExportOption, Path] | None]):
    """Closes with the offer and the path once the file is there, or the engine's part can be asked for; else None."""

    BINDINGS: ClassVar[list[BindingType]] = [cancel_key("export", "Export nothing")]

    def __init__(self, offers: list[ExportOption]) -> None:
        super().__init__()
        self._offers, self._offer, self._is_busy = offers, offers[0], False

    def compose(self) -> ComposeResult:
        keys = "↑↓ what · tab where · enter exports · esc cancels"
        with DialogFrame(f"Export: {self._offer.label}", keys, "export"):
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
        """Propose another name; of a name that the user typed, change the ending alone."""
        before, self._offer = self._offer, self._offers[highlighted.option_index]
        self.query_one(".dialog").border_title = f"Export: {self._offer.label}"
        field = self.query_one(Input)
        if field.value == str(before.proposal):
            field.value = str(self._offer.proposal)
        elif field.value.endswith(before.proposal.suffix):
            field.value = field.value.removesuffix(before.proposal.suffix) + self._offer.proposal.suffix
        field.action_end()
        self.say("")

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    def export(self) -> None:
        """Write the chosen export to the typed path."""
        if not self._is_busy:
            self._export(self._offer, self.query_one(Input).value)

    @work(exclusive=True)
    async def _export(self, offer: ExportOption, text: str) -> None:
        self._is_busy = True
        try:
            path = file_to_write(text, offer.proposal.suffix)
            if await self._is_done(offer, path):
                self.dismiss((offer, path))
        except BadInput as error:
            self.say(str(error))
        finally:
            self._is_busy = False

    async def _is_done(self, offer: ExportOption, path: Path) -> bool:
        is_there = path_is_taken(path)
        if offer.make is None:
            if is_there:
                raise BadInput(f"{path.name} exists already: choose another name")
            return True
        if is_there and not await may_overwrite(self.app, path):
            return False
        self.say(f"making the {offer.label} …")
        data = await offer.make()
        await asyncio.to_thread(write_file, path, data, may_replace=is_there)
        return True

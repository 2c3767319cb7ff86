"""What leaves the explorer's screen: to the clipboard, to a file, to other programs."""

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from icltui.storage.atomic import write_file
from icltui.storage.paths import make_folder
from icltui.tui.draw.safe_text import display
from icltui.tui.main.actions_base import ScreenActions
from icltui.tui.main.pane_words import around, words_for
from icltui.tui.state.session_conversion import left_out, without_words
from icltui.tui.terminal.osc52 import LIMIT, Copyable, encoded_size
from icltui.values.errors import BadInput, reason_of

if TYPE_CHECKING:
    from icltui.tui.dialogs.export import ExportOption
    from icltui.tui.main.export_offers import ExportOffers


class OutputActions(ScreenActions):
    """Panes are copied; session, looks and patch are exported."""

    def action_copy_pane(self) -> None:
        """Send the focused pane's content to the terminal's clipboard."""
        pane = next((node for node in around(self._screen.focused) if isinstance(node, Copyable)), None)
        text = pane.copied() if pane else ""
        if pane is None or not text:
            self._tell("nothing to copy here: go to a pane that holds something")
        elif (size := encoded_size(text)) > LIMIT:
            self._screen.notify(
                f"more than a terminal's clipboard holds: {size:,} bytes encoded, of at most {LIMIT:,}: "
                "e exports it to a file",
                severity="error",
                markup=False,
            )
        else:
            self._screen.app.copy_to_clipboard(text)
            lines = text.count("\n") + (not text.endswith("\n"))
            what = f"{lines} line{'' if lines == 1 else 's'} of {words_for(self._screen.focused)}"
            self._tell(f"{what} sent to the terminal's clipboard")

    def action_export_session(self, kind: str = "") -> None:
        """Ask what goes where, and see that it gets there; a record of a named kind goes to a free name."""
        self._begin(partial(self._write_record, kind) if kind else self._export)

    async def _write_record(self, kind: str) -> None:
        offers = self._offers()
        offer = offers.record(kind)
        if offer is None or offer.make is None:
            self._tell(display(f"{kind!r} is not known: use {', '.join(offers.kinds)}"))
            return
        try:
            make_folder(offer.proposal.parent)
            await asyncio.to_thread(write_file, offer.proposal, await offer.make())
        except (OSError, BadInput) as error:
            reason = reason_of(error) if isinstance(error, OSError) else str(error)
            self._screen.notify(display(f"cannot export: {reason}"), severity="error", markup=False)
        else:
            self._tell_written(offer, offer.proposal)

    async def _export(self) -> None:
        from icltui.tui.dialogs.export import ExportDialog

        if (chosen := await self._ask(ExportDialog(self._offers().all()))) is None:
            return
        offer, path = chosen
        if offer.form:
            self._explorer.export_patch(offer.form, str(path))
            return
        if offer.compiled:
            self._explorer.compile(offer.compiled, str(path))
            return
        self._tell_written(offer, path)

    def _offers(self) -> "ExportOffers":
        from icltui.tui.main.export_offers import ExportOffers

        self._editors.take()
        title = self._explorer.document.title
        return ExportOffers(self._screen, self._explorer.session(title), title)

    def _tell_written(self, offer: "ExportOption", path: Path) -> None:
        from icltui.report.session_formats import FORMAT_TITLES

        settings, results = self._explorer.settings, self._explorer.results
        session = self._explorer.session(self._explorer.document.title)
        missing = left_out(session.alone, settings, results) if offer.is_record else ()
        if offer.label not in (FORMAT_TITLES["md"], FORMAT_TITLES["html"]):
            missing = tuple(what for what in missing if what == "numbers")  # nothing else is ever in it
        line = f"{offer.label} written to {path}{without_words(missing)}"
        self._screen.notify(display(line), timeout=8, markup=False)

"""What leaves the explorer's screen: to the clipboard, to a file, to other programs."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from textual.dom import DOMNode
from textual.strip import Strip
from textual.widget import Widget

from icltui.report.session_formats import FORMAT_TITLES, SessionFormat, render_session
from icltui.storage.atomic import write_file
from icltui.storage.paths import make_folder, sessions_folder, unused_path
from icltui.system.figure_process import draw_figure
from icltui.tui.dialogs.export import ExportDialog, ExportOption
from icltui.tui.draw.safe_text import display
from icltui.tui.draw.svg import pane_strips, svg_of
from icltui.tui.main.actions_base import ScreenActions
from icltui.tui.state.session_conversion import left_out, without_words
from icltui.tui.terminal.osc52 import LIMIT, Copyable, encoded_size
from icltui.tui.widgets.bordered import Bordered
from icltui.values import CompiledFormat, ExportFormat, Session
from icltui.values.errors import BadInput, reason_of

_ROOMY = 60
"""A narrower picture has room for the pane's name alone."""
_RECORDS: dict[SessionFormat, str] = {
    "md": "prompt, figure, tables, lanes, proof",
    "html": "the same as one web page",
    "csv": "every measure, unit and layer",
    "png": "heatmap, curves, next tokens",
    "svg": "the same, as vectors",
}
_PATCHES: tuple[tuple[str, str, str, ExportFormat], ...] = (
    ("LoRA adapter", "the patch for PEFT, a folder", "-peft", "peft"),
    ("GGUF adapter", "the patch for llama.cpp", "-lora.gguf", "gguf-lora"),
    ("control vector", "the shift for llama.cpp", "-shift.gguf", "gguf-control-vector"),
    ("factors", "z, δ and the patch itself", ".safetensors", "factors"),
)
_COMPILED: tuple[tuple[str, str, str, CompiledFormat], ...] = (
    ("compiled adapter", "one patch, chosen and tested (W), for PEFT", "-compiled", "peft"),
    ("compiled GGUF", "the same for llama.cpp", "-compiled.gguf", "gguf-lora"),
)
_WORDS = {
    "exam-patches": "the exam",
    "exam-answers": "the exam's answers",
    "lane-context": "the lane with context",
    "lane-plain": "the query's lane",
    "lane-patched": "the patched lane",
}


class OutputActions(ScreenActions):
    """Panes are copied; session, looks and patch are exported."""

    def action_copy_pane(self) -> None:
        """Send the focused pane's content to the terminal's clipboard."""
        pane = next((node for node in _around(self._screen.focused) if isinstance(node, Copyable)), None)
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
            what = f"{lines} line{'' if lines == 1 else 's'} of {_words(self._screen.focused)}"
            self._tell(f"{what} sent to the terminal's clipboard")

    def action_export_session(self, kind: str = "") -> None:
        """Ask what goes where, and see that it gets there; a record of a named kind goes to a free name."""
        self._begin(partial(self._write_record, kind) if kind else self._export)

    async def _write_record(self, kind: str) -> None:
        self._editors.take()
        records = self._records(self._explorer.session(self._explorer.document.title))
        offer = next((offer for offer in records if offer.proposal.suffix == f".{kind}"), None)
        if offer is None or offer.make is None:
            self._tell(display(f"{kind!r} is not known: use {', '.join(_RECORDS)}"))
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
        self._editors.take()
        session = self._explorer.session(self._explorer.document.title)
        offers = [*self._records(session), *self._pictures(), *self._patches()]
        if (chosen := await self._ask(ExportDialog(offers))) is None:
            return
        offer, path = chosen
        if offer.form:
            self._explorer.export_patch(offer.form, str(path))
            return
        if offer.compiled:
            self._explorer.compile(offer.compiled, str(path))
            return
        self._tell_written(offer, path)

    def _tell_written(self, offer: ExportOption, path: Path) -> None:
        settings, results = self._explorer.settings, self._explorer.results
        session = self._explorer.session(self._explorer.document.title)
        missing = left_out(session.alone, settings, results) if offer.is_record else ()
        if offer.label not in (FORMAT_TITLES["md"], FORMAT_TITLES["html"]):
            missing = tuple(what for what in missing if what == "numbers")  # nothing else is ever in it
        line = f"{offer.label} written to {path}{without_words(missing)}"
        self._screen.notify(display(line), timeout=8, markup=False)

    def _records(self, session: Session) -> list[ExportOption]:
        """What the session holds."""
        return [
            ExportOption(
                FORMAT_TITLES[kind],
                words,
                self._free(f".{kind}"),
                partial(_record, session, kind) if kind == "csv" else partial(draw_figure, session, kind),
                True,
            )
            for kind, words in _RECORDS.items()
        ]

    def _pictures(self) -> list[ExportOption]:
        """What the screen shows now, before a dialog is over it: the focused pane, and all of it."""
        whole, title = self._screen._compositor.render_strips(), self._explorer.document.title
        focused, pictures = self._screen.focused, []
        if pane := next((node for node in _around(focused) if isinstance(node, Bordered)), None):
            name = _name(focused)
            heading = f"{title}: {name}" if pane.outer_size.width >= _ROOMY else name
            draw, words = partial(_svg, pane_strips(pane), heading), f"{_words(focused)}, as it is now"
            pictures.append(ExportOption("SVG of the pane", words, self._free(f"-{name}.svg"), draw))
        draw = partial(_svg, whole, title)
        return [
            *pictures,
            ExportOption("SVG of the screen", "as it is now", self._free("-screen.svg"), draw),
        ]

    def _patches(self) -> list[ExportOption]:
        """What the engine writes."""
        return [
            ExportOption(title, words, self._free(ending), form=form)
            for title, words, ending, form in _PATCHES
        ] + [
            ExportOption(title, words, self._free(ending), compiled=form)
            for title, words, ending, form in _COMPILED
        ]

    def _free(self, ending: str) -> Path:
        """A name that is free in the folder of sessions."""
        return unused_path(sessions_folder(), self._explorer.document.title, ending)


async def _record(session: Session, kind: SessionFormat) -> bytes:
    return await asyncio.to_thread(render_session, session, kind)


async def _svg(strips: list[Strip], title: str) -> bytes:
    text = await asyncio.to_thread(svg_of, strips, title)
    return text.encode("utf-8", "replace")


def _around(widget: Widget | None) -> Sequence[DOMNode]:
    """The widget itself and what it is in, the nearest first."""
    return widget.ancestors_with_self if widget else ()


def _name(widget: Widget | None) -> str:
    """What a pane is called in a file's name."""
    return (widget and widget.id) or "pane"


def _words(widget: Widget | None) -> str:
    """What a pane is called in a sentence."""
    return _WORDS.get(name := _name(widget), name)

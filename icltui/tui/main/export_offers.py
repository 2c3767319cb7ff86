"""What the explorer's screen can export, as offers for a dialog: the session's records, pictures, patches."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from textual.screen import Screen
from textual.strip import Strip

from icltui.report.session_formats import FORMAT_TITLES, SessionFormat, render_session
from icltui.storage.paths import sessions_folder, unused_path
from icltui.system.figure_process import draw_figure
from icltui.tui.dialogs.export import ExportOption
from icltui.tui.draw.svg import pane_strips, screen_strips, svg_of
from icltui.tui.main.pane_words import around, name_of, words_for
from icltui.tui.widgets.bordered import Bordered
from icltui.values import CompiledFormat, ExportFormat, Session

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


class ExportOffers:
    """The offers for one session on one screen.

    Args:
        screen: what pictures are taken of, before a dialog is over it.
        session: what records are made of.
        title: names files and pictures.
    """

    def __init__(self, screen: Screen[Any], session: Session, title: str) -> None:
        self._screen, self._session, self._title = screen, session, title

    def all(self) -> list[ExportOption]:
        """Every offer, in the dialog's order."""
        return [*self._records(), *self._pictures(), *self._patches()]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The endings of records."""
        return tuple(_RECORDS)

    def record(self, kind: str) -> ExportOption | None:
        """The record with this ending, if there is one."""
        return next((offer for offer in self._records() if offer.proposal.suffix == f".{kind}"), None)

    def _records(self) -> list[ExportOption]:
        """What the session holds."""
        return [
            ExportOption(
                FORMAT_TITLES[kind],
                words,
                self._free(f".{kind}"),
                partial(_record, self._session, kind)
                if kind == "csv"
                else partial(draw_figure, self._session, kind),
                True,
            )
            for kind, words in _RECORDS.items()
        ]

    def _pictures(self) -> list[ExportOption]:
        """What the screen shows now, before a dialog is over it: the focused pane, and all of it."""
        whole, title = screen_strips(self._screen), self._title
        focused, pictures = self._screen.focused, []
        if pane := next((node for node in around(focused) if isinstance(node, Bordered)), None):
            name = name_of(focused)
            heading = f"{title}: {name}" if pane.outer_size.width >= _ROOMY else name
            draw, words = partial(_svg, pane_strips(pane), heading), f"{words_for(focused)}, as it is now"
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
        return unused_path(sessions_folder(), self._title, ending)


async def _record(session: Session, kind: SessionFormat) -> bytes:
    return await asyncio.to_thread(render_session, session, kind)


async def _svg(strips: list[Strip], title: str) -> bytes:
    text = await asyncio.to_thread(svg_of, strips, title)
    return text.encode("utf-8", "replace")

"""Texts over the rows of a folder, to scroll: a row's fields, the summary, and the help."""

from collections.abc import Iterable
from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from icltui.tui.actions.rows import ROW_ACTIONS
from icltui.tui.dialogs.dialog import Dialog
from icltui.tui.draw.row_cells import field_text
from icltui.tui.draw.safe_text import content, display, readable
from icltui.tui.state.rows.columns import RowColumn
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.vim_scroll import VimScroll
from icltui.values.results import Summary

_LONGEST = 20_000
"""Characters of a field that are shown."""
_FILTERS = (
    ("kl_plain > 1", "a number: < <= > >= = !="),
    ("kl_patched < kl_plain", "one column beside another"),
    ("delta_norms[-1] > 2", "one of several numbers, from 0; -1 is the last"),
    ("tags:capital", "a text anywhere in a column; = is the whole text"),
    ("paris", "a text in any column; capitals count where there are some"),
    ("top1_patched = true", "true or false"),
    ("error != none", "what has a value, and what has none"),
    ("not tags:false or (…)", "and, or, not and brackets; a blank is and"),
)
_KINDS = {
    "number": "number",
    "flag": "true or false",
    "text": "text",
    "numbers": "several numbers, drawn as bars; sorted by their mean",
    "texts": "several texts",
}


class RowText(VerticalScroll, VimScroll, can_focus=True):
    """The text."""


class RowTextDialog(Dialog[None]):
    """Closes with nothing.

    Args:
        title: of the frame.
        parts: the texts, which are safe to draw.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding(
            "row_text.close", "escape,q,v,m,question_mark,f1", "dismiss(None)", "Close", "Back to the rows"
        ),
    ]

    def __init__(self, title: str, parts: Iterable[RenderableType]) -> None:
        super().__init__()
        self._title, self._parts = title, list(parts)

    def compose(self) -> ComposeResult:
        """One text in a frame."""
        with RowText(classes="dialog tall") as frame:
            frame.border_title, frame.border_subtitle = content(self._title), "esc closes"
            for part in self._parts:
                yield Static(part, classes="section", markup=False)


def fields_of(row: Iterable[tuple[str, object]]) -> Table:
    """Every field with its whole value; line ends stay."""
    return _table((name, _whole(field_text(value))) for name, value in row)


def _whole(text: str) -> str:
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … {len(text) - _LONGEST:,} more characters"
    return "\n".join(map(readable, cut.split("\n")))


class SummaryPage:
    """A summary in the width that there is: a wide table is in several pieces, and no number of it is cut."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from icltui.report.experiment_summary import summary_parts  # which the first frame does not need

        for part in summary_parts(self._summary, options.max_width):
            yield Text(part) if isinstance(part, str) else part
            yield Text()


def help_parts(columns: Iterable[RowColumn]) -> list[RenderableType]:
    """Keys, filters, and the columns."""
    keys = [(action.keys_text(), action.help) for action in ROW_ACTIONS]
    moves = [("j k ↓ ↑", "Down and up."), ("h l ← →", "To the columns left and right; ^ $ to the ends.")]
    return [
        _titled("Keys", [*keys, *moves]),
        _titled("What a filter may say", _FILTERS, width=24),
        _titled("Columns", [(column.name, _about(column)) for column in columns], width=24),
    ]


def _about(column: RowColumn) -> str:
    return f"{_KINDS[column.kind]}{', nowhere a value' if column.is_empty else ''}"


def _titled(title: str, rows: Iterable[tuple[str, str]], width: int = 13) -> Table:
    return _table(rows, Text(title, "bold"), width)


def _table(rows: Iterable[tuple[str, str]], title: Text | None = None, width: int = 22) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1), title=title, title_justify="left")
    table.add_column(width=width, overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    for name, meaning in rows:
        table.add_row(Text(display(name), "bold"), Text(meaning))
    return table

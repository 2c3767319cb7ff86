"""The focused pane explained, every key, and what each number means, made from the registries of these."""

from collections.abc import Iterable
from typing import ClassVar

from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from icltui.report.measures import MEASURES, MeasureSpec, prediction_meanings
from icltui.tui.actions import ACTIONS, MOVES
from icltui.tui.dialogs.dialog import Dialog
from icltui.tui.draw.pane_help import MEASURED, PANE_HELP, SYMBOLS, action_rows, pane_title
from icltui.tui.draw.safe_text import display
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.vim_scroll import VimScroll
from icltui.values import Dynamics


def _rows(group: str) -> list[tuple[str, str]]:
    """Keys and meaning of each action of a group; the jumps share one row."""
    actions = [action for action in ACTIONS if action.group == group and action.keys_text()]
    rows = [(a.keys_text(), a.help) for a in actions if not a.id.startswith("pane_")]
    has_jumps = len(rows) < len(actions)
    return rows + ([("0 … 9 x u t", "Jump to the pane of that key.")] if has_jumps else [])


def help_sections(
    dynamics: Dynamics = "grow", facts: Iterable[tuple[str, str]] = ()
) -> dict[str, list[tuple[str, str]]]:
    """The whole help: titles with their rows; ``facts`` are of the model."""
    groups = dict.fromkeys(action.group for action in ACTIONS if action.group)
    sections = {group: _rows(group) for group in groups} | {"Move": list(MOVES)}
    numbers = [_meaning(measure, dynamics) for measure in MEASURES.values()]
    sections[f"Numbers, under {dynamics}"] = numbers + prediction_meanings(dynamics)
    model = [(name, display(fact)) for name, fact in facts]
    return sections | ({"This model": model} if model else {})


def _meaning(measure: MeasureSpec, dynamics: Dynamics) -> tuple[str, str]:
    return measure.symbol, ": ".join(filter(None, measure.meaning(dynamics))) or f"undefined under {dynamics}"


def _section(title: str, rows: list[tuple[str, str]]) -> Table:
    """A title over two columns; long meanings wrap in theirs."""
    table = Table(
        box=None, show_header=False, padding=(0, 1), title=Text(title, "bold"), title_justify="left"
    )
    table.add_column(width=13, no_wrap=True)
    table.add_column(ratio=1)
    for head, meaning in rows:
        table.add_row(Text(head, "bold"), Text(meaning))
    return table


def pane_texts(pane: str, dynamics: Dynamics, measure: str) -> list[Text | Table]:
    """What a pane is, how it is read, its formulas with their symbols, and its keys."""
    text = PANE_HELP[pane]
    formulas = [*([_formula(MEASURES[measure], dynamics)] if pane in MEASURED else []), *text.formulas]
    return [
        Text(f"{pane_title(pane)}\n", "bold").append(text.what, "not bold"),
        Text("How to read it\n", "bold").append(text.reading, "not bold"),
        *([_formulas(formulas), _section("Symbols", SYMBOLS)] if formulas else []),
        _section("Keys here", [*text.keys, *action_rows(text.actions)]),
    ]


def _formula(measure: MeasureSpec, dynamics: Dynamics) -> tuple[str, str]:
    words, formula = measure.meaning(dynamics)
    return (
        f"{measure.symbol} = {formula}" if formula else measure.symbol,
        words or f"undefined under {dynamics}",
    )


def _formulas(rows: list[tuple[str, str]]) -> Table:
    """Each formula on a line of its own, since it may be long, and below it what it says."""
    table = Table(
        box=None, show_header=False, padding=(0, 1), title=Text("Formulas", "bold"), title_justify="left"
    )
    table.add_column(ratio=1)
    for formula, meaning in rows:
        table.add_row(Text(formula, "bold"))
        table.add_row(Padding(Text(meaning), (0, 0, 0, 2)))
    return table


class HelpText(VerticalScroll, VimScroll, can_focus=True):
    """The whole help in one frame, to scroll."""


TOUR = "tour"
"""What the help closes with when the user asked for the tour."""


class HelpDialog(Dialog[str | None]):
    """Scrolls; any of the usual keys closes it.

    Args:
        dynamics: what the numbers' meanings depend on.
        facts: of the model.
        pane: the one that is explained first.
        measure: the one that is shown in it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding(
            "help.close", "escape,q,question_mark,f1", "dismiss(None)", "Close", "Back to the explorer"
        ),
        key_binding("help.manual", "m", "show_manual", "Manual", "Open the manual"),
        key_binding("help.tour", "t", f"dismiss('{TOUR}')", "Tour", "Take the tour in five steps"),
    ]

    def __init__(
        self,
        dynamics: Dynamics,
        facts: Iterable[tuple[str, str]] = (),
        pane: str | None = None,
        measure: str = "delta_norm",
    ) -> None:
        super().__init__()
        self._pane = pane_texts(pane, dynamics, measure) if pane in PANE_HELP else []
        self._sections = help_sections(dynamics, facts)

    def compose(self) -> ComposeResult:
        """One text in a frame."""
        with HelpText(classes="dialog tall") as dialog:
            dialog.border_title = "Help"
            dialog.border_subtitle = "letters act until you write · m manual · t tour · esc closes"
            for text in self._pane:
                yield Static(text, classes="section")
            if self._pane:
                yield Static(Rule("everything", style="dim"), classes="section")
            for title, rows in self._sections.items():
                yield Static(_section(title, rows), classes="section")

    def action_show_manual(self) -> None:
        """Open the manual over the help."""
        from icltui.tui.dialogs.manual import (
            ManualDialog,  # with Markdown, which the first frame does not need
        )

        self.app.push_screen(ManualDialog())

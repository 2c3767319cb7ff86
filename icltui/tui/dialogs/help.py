"""The focused pane explained, every key, and what each number means, made from the registries of these."""

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from icltui.report.measures import MEASURES, MeasureSpec, prediction_meanings
from icltui.tui.actions import ACTIONS, MOVES
from icltui.tui.dialogs.dialog import Dialog
from icltui.tui.draw.pane_help import MEASURED, PANE_HELP, SYMBOLS, action_rows, pane_title
from icltui.tui.draw.safe_text import display
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.help_text import HelpBlock, HelpText
from icltui.values import Dynamics

_COLUMN = 16
"""Where meanings begin."""


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


def section(title: str, rows: Iterable[tuple[str, str]]) -> list[HelpBlock]:
    """A title over two columns."""
    return [HelpBlock(title), *(HelpBlock(head, meaning, _COLUMN) for head, meaning in rows), HelpBlock()]


def pane_blocks(pane: str, dynamics: Dynamics, measure: str) -> list[HelpBlock]:
    """What a pane is, how it is read, its formulas with their symbols, and its keys."""
    text = PANE_HELP[pane]
    formulas = [*([_formula(MEASURES[measure], dynamics)] if pane in MEASURED else []), *text.formulas]
    # Each formula on a line of its own, since it may be long, and below it what it says.
    below = [
        block for formula, words in formulas for block in (HelpBlock(f" {formula}"), HelpBlock("", words, 3))
    ]
    return [
        *(HelpBlock(pane_title(pane)), HelpBlock("", text.what), HelpBlock()),
        *(HelpBlock("How to read it"), HelpBlock("", text.reading), HelpBlock()),
        *([HelpBlock("Formulas"), *below, HelpBlock(), *section("Symbols", SYMBOLS)] if formulas else []),
        *section("Keys here", [*text.keys, *action_rows(text.actions)]),
    ]


def _formula(measure: MeasureSpec, dynamics: Dynamics) -> tuple[str, str]:
    words, formula = measure.meaning(dynamics)
    return (
        f"{measure.symbol} = {formula}" if formula else measure.symbol,
        words or f"undefined under {dynamics}",
    )


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
        explained = pane_blocks(pane, dynamics, measure) if pane in PANE_HELP else []
        rule = [HelpBlock("everything", is_rule=True), HelpBlock()] if explained else []
        sections = help_sections(dynamics, facts).items()
        whole = [block for title, rows in sections for block in section(title, rows)]
        self._blocks = [*explained, *rule, *whole]

    def compose(self) -> ComposeResult:
        """One text in a frame."""
        text = HelpText(self._blocks, classes="dialog tall")
        text.border_title = "Help"
        text.border_subtitle = "letters act outside the editors · m manual · t tour · esc closes"
        yield text

    def action_show_manual(self) -> None:
        """Open the manual over the help."""
        from icltui.tui.dialogs.manual import (
            ManualDialog,  # with Markdown, which the first frame does not need
        )

        self.app.push_screen(ManualDialog())

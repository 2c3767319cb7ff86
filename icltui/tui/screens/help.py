"""Every key and what each number means, made from the registries of actions and measures."""

from collections.abc import Iterable
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from icltui.record import Dynamics
from icltui.tui.actions import ACTIONS, MOVES
from icltui.tui.cells import display
from icltui.tui.columns import CHANGED
from icltui.tui.measures import MEASURES, Measure


def _rows(group: str) -> list[tuple[str, str]]:
    """Keys and meaning of each action of a group; the jumps share one row."""
    actions = [action for action in ACTIONS if action.group == group and action.keys]
    rows = [(a.keys_text(), a.help) for a in actions if not a.id.startswith("pane_")]
    has_jumps = len(rows) < len(actions)
    return rows + ([("0 … 9", "Jump to the pane of that number.")] if has_jumps else [])


def help_sections(
    dynamics: Dynamics = "grow", facts: Iterable[tuple[str, str]] = ()
) -> dict[str, list[tuple[str, str]]]:
    """The whole help: titles with their rows; ``facts`` are of the model."""
    groups = dict.fromkeys(action.group for action in ACTIONS if action.group)
    sections = {group: _rows(group) for group in groups} | {"Move": list(MOVES)}
    numbers = [_meaning(measure, dynamics) for measure in MEASURES.values()]
    sections[f"Numbers, under {dynamics}"] = numbers + _predicted(dynamics)
    model = [(name, display(fact)) for name, fact in facts]
    return sections | ({"This model": model} if model else {})


def _meaning(measure: Measure, dynamics: Dynamics) -> tuple[str, str]:
    return measure.title, ": ".join(filter(None, measure.meaning(dynamics))) or f"undefined under {dynamics}"


def _predicted(dynamics: Dynamics) -> list[tuple[str, str]]:
    other = "the full context's" if dynamics == "drop" else "the unit before's"
    gap = "" if dynamics == "grow" else "; none under local · keep where packed, as each would take a pass"
    words = "the likeliest after an ordinary run of what is left, also under local"
    return [
        ("next token p", f"{words}; {CHANGED} another than {other}{gap}"),
        ("KL, entropy", "of its distribution, in nats: KL(full context ‖ this one)"),
    ]


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


class HelpScreen(ModalScreen[None]):
    """Scrolls; any of the usual keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss(None)", "Close"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, dynamics: Dynamics, facts: Iterable[tuple[str, str]]) -> None:
        super().__init__()
        self._sections = help_sections(dynamics, facts)

    def compose(self) -> ComposeResult:
        """One text in a frame."""
        with VerticalScroll(classes="dialog tall") as dialog:
            dialog.border_title = "Help"
            dialog.border_subtitle = "letters act outside the editors · esc closes"
            for title, rows in self._sections.items():
                yield Static(_section(title, rows), classes="section")

    def action_scroll(self, lines: int) -> None:
        """Scroll by some lines."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

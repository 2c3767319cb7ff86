"""The present run beside another one: what was asked differently, and what came of both."""

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from icltui.report.session_comparison import ComparedLine, compared_results, differing_settings
from icltui.tui.dialogs.dialog import Dialog
from icltui.tui.draw.safe_text import content, display, passage
from icltui.tui.state.compared_session import ComparedSession
from icltui.tui.widgets.bindings import key_binding
from icltui.values import Session

_LONGEST = 600


class CompareDialog(Dialog[str | None]):
    """Scrolls; closes with ``alone`` when the user has seen enough of the other, with None otherwise."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("contrast.close", "escape,q,B", "dismiss(None)", "Close", "Back to the numbers"),
        key_binding("contrast.alone", "x", "dismiss('alone')", "Alone", "Stop comparing"),
        key_binding("contrast.other", "c", "dismiss('compare')", "Other", "Compare with another run or file"),
        key_binding("contrast.down", "j", "scroll(1)", "Down", "A line down"),
        key_binding("contrast.up", "k", "scroll(-1)", "Up", "A line up"),
    ]

    def __init__(self, ours: Session, name: str, other: ComparedSession) -> None:
        super().__init__()
        self._ours, self._our_name, self._other = ours, name, other

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog tall") as dialog:
            dialog.border_title = content(f"{self._our_name} beside {self._other.label}")
            dialog.border_subtitle = "x stops comparing · c compares with another · esc closes"
            asked = differing_settings(self._ours, self._other.session)
            yield Static(self._table("Different settings", asked, "none: both have the same settings"))
            yield Static(
                self._table("Results", compared_results(self._ours, self._other.session), "no numbers yet")
            )

    def _table(self, title: str, rows: list[ComparedLine], nothing: str) -> Table:
        table = Table(box=None, padding=(0, 1), title=Text(title, "bold"), title_justify="left", expand=True)
        table.add_column(width=20)
        table.add_column(Text(self._our_name), ratio=1)
        table.add_column(Text(display(self._other.label)), ratio=1)
        for row in rows:
            # What differs is marked by a sign, not by colour alone.
            mark = "≠ " if row.is_different else "  "
            table.add_row(Text(mark + row.name, "bold"), _cell(row.ours), _cell(row.theirs))
        if not rows:
            table.add_row(Text(""), Text(nothing), Text(""))
        return table

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def _cell(text: str) -> Text:
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    return Text(passage(cut).plain)

"""Two runs side by side on the whole screen: what was asked differently, both texts, the KLs, and what came of both."""

from collections.abc import Iterator
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from icltui.report.session_comparison import ComparedLine, compared_results, differing_settings
from icltui.text.tables import number
from icltui.tui.dialogs.dialog import Dialog
from icltui.tui.draw.safe_text import content, display, passage, readable
from icltui.tui.state.compared_session import ComparedSession
from icltui.tui.state.run_words import RunNumbers
from icltui.tui.widgets.bindings import key_binding
from icltui.values import LANE_TITLES, LANES, Lane, LaneText, Session

_LONGEST = 600
_MARK = "▸"
"""Before the first token that differs, which is not marked by its look alone."""


class CompareDialog(Dialog[str | None]):
    """Scrolls; closes with ``alone`` or ``compare`` when the user has seen enough of the other, with None otherwise.

    Args:
        ours: the run on the left.
        name: its name.
        other: the run on the right.
        is_kept: whether the numbers on the screen are compared with ``other`` as long as it is not closed by ``x``.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("contrast.close", "escape,q,B", "dismiss(None)", "Close", "Back to where it was opened"),
        key_binding("contrast.alone", "x", "dismiss('alone')", "Alone", "Stop comparing"),
        key_binding("contrast.other", "c", "dismiss('compare')", "Other", "Compare with another run or file"),
        key_binding("contrast.down", "j", "scroll(1)", "Down", "A line down"),
        key_binding("contrast.up", "k", "scroll(-1)", "Up", "A line up"),
    ]

    def __init__(self, ours: Session, name: str, other: ComparedSession, is_kept: bool = True) -> None:
        super().__init__()
        self._ours, self._our_name, self._other, self._is_kept = ours, name, other, is_kept

    def compose(self) -> ComposeResult:
        keys = "x stops comparing · c compares with another · " if self._is_kept else ""
        ours, theirs = self._ours, self._other.session
        with VerticalScroll(classes="dialog beside") as dialog:
            dialog.border_title = content(f"{self._our_name} beside {self._other.label}")
            dialog.border_subtitle = f"{keys}j k scroll · esc closes"
            asked = differing_settings(ours, theirs)
            yield Static(self._table("Different settings", asked, "none: both have the same settings"))
            yield Static(self._texts(), classes="section")
            shown = {*map(_lane_name, LANES), "equal to context"}
            results = [line for line in compared_results(ours, theirs) if line.name.strip() not in shown]
            yield Static(self._table("Results", [*kl_lines(ours, theirs), *results], "no numbers yet"))

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

    def _texts(self) -> Table:
        """Both texts of each lane, each half as wide as the screen, from the first token that differs on marked."""
        table = Table(
            box=None, padding=(0, 1), title=Text("\nTexts", "bold"), title_justify="left", expand=True
        )
        table.add_column(Text(self._our_name), ratio=1)
        table.add_column(Text(display(self._other.label)), ratio=1)
        for lane in LANES:
            pair = [_lane(session, lane) for session in (self._ours, self._other.session)]
            if any(pair):
                table.add_row(Text(f"{LANE_TITLES[lane]}: {difference_words(*pair)}", "dim"), Text(""))
                table.add_row(*marked_texts(*pair))
        return table

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def kl_lines(ours: Session, theirs: Session) -> list[ComparedLine]:
    """The KLs of both patches, as far as either is known."""
    left, right = RunNumbers.of(ours), RunNumbers.of(theirs)
    return list(_kl_lines(left, right))


def _kl_lines(left: RunNumbers, right: RunNumbers) -> Iterator[ComparedLine]:
    names = {
        "kl": "KL after the query",
        "kl_plain": "  without ΔW",
        "kl_text": "KL along its text",
        "kl_others": "KL elsewhere",
    }
    for field, name in names.items():
        a, b = getattr(left, field), getattr(right, field)
        if (a, b) != (None, None):
            yield ComparedLine(name, *("–" if value is None else number(value) for value in (a, b)))
    if left.n_tokens or right.n_tokens:
        equal = (f"{one.n_equal}/{one.n_tokens}" if one.n_tokens else "–" for one in (left, right))
        yield ComparedLine("ΔW equal to context", *equal)


def first_difference(ours: LaneText | None, theirs: LaneText | None) -> int | None:
    """The index of the first token that is not the same in both; None where none is, or one text is not there."""
    if ours is None or theirs is None:
        return None
    texts = [[step.token.text for step in lane.steps] for lane in (ours, theirs)]
    length = max(map(len, texts))
    return next((at for at in range(length) if texts[0][at : at + 1] != texts[1][at : at + 1]), None)


def difference_words(ours: LaneText | None, theirs: LaneText | None) -> str:
    """Where both texts part, in words."""
    if ours is None or theirs is None:
        return "one only"
    at = first_difference(ours, theirs)
    return "the same" if at is None else f"they part at token {at + 1}"


def marked_texts(ours: LaneText | None, theirs: LaneText | None) -> tuple[Text, Text]:
    """Both texts, the first token that differs marked."""
    at = first_difference(ours, theirs)
    return _marked(ours, at), _marked(theirs, at)


def _marked(lane: LaneText | None, at: int | None) -> Text:
    if lane is None:
        return Text("–")
    if at is None or at >= len(lane.steps):
        end = f"{_MARK} ends here" if at is not None else ""
        return Text(passage(lane.text).plain or "no text").append(f" {end}" if end else "", "bold reverse")
    before = lane.steps[at - 1].text if at else ""
    upto = lane.steps[at].text
    text = Text(passage(before).plain)
    text.append(f"{_MARK}{passage(upto[len(before) :]).plain or '␣'}", "bold reverse")
    return text.append(readable(lane.text[len(upto) :]))


def _lane(session: Session, lane: Lane) -> LaneText | None:
    return session.generation.lanes.get(lane) if session.generation else None


def _lane_name(lane: Lane) -> str:
    title = LANE_TITLES[lane]
    return title[0].lower() + title[1:]


def _cell(text: str) -> Text:
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
    return Text(passage(cut).plain)

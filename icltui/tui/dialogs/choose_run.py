"""The runs of the session in a list: go back to one, compare with one, or write a note on one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from icltui.tui.dialogs.dialog import Dialog, DialogFrame, key_hints
from icltui.tui.draw.safe_text import content, fit
from icltui.tui.state.history import History
from icltui.tui.state.run_tree import tree_lines
from icltui.tui.widgets.bindings import key_binding
from icltui.values import Prediction, Run

Verb = Literal["go", "compare", "note", "file", "alone"]


@dataclass(frozen=True)
class RunChoice:
    """What to do, and with which run; ``file`` and ``alone`` need no run."""

    verb: Verb
    number: int = 0


class ChooseRunDialog(Dialog[RunChoice | None]):
    """Closes with a choice, or with None.

    Args:
        history: the runs.
        enter: what the enter key does with the run under the cursor.
        compared: what the numbers are compared with, if anything.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding("runs.cancel", "escape,q", "dismiss(None)", "Cancel", "Leave everything as it is"),
        key_binding("runs.down", "j", "move(1)", "Down", "One run down"),
        key_binding("runs.up", "k", "move(-1)", "Up", "One run up"),
        key_binding("runs.compare", "c", "choose('compare')", "Compare", "Compare with this run"),
        key_binding("runs.note", "a", "choose('note')", "Note", "Write a line about this run"),
        key_binding("runs.file", "f", "choose('file')", "File", "Compare with a session file"),
        key_binding("runs.alone", "x", "choose('alone')", "Alone", "Stop comparing"),
    ]

    def __init__(self, history: History, enter: Verb, compared: str = "") -> None:
        super().__init__()
        self._history, self._enter, self._compared = history, enter, compared
        self._runs = [(len(line.guides) // 2, line.run) for line in tree_lines(history.runs)]

    def compose(self) -> ComposeResult:
        with DialogFrame("Runs of this session" if self._enter == "go" else "Compare with", "esc closes"):
            yield OptionList(*map(self._option, self._runs), id="runs", markup=False)
            if not self._runs:
                yield Static("no run yet: ^r makes the first", markup=False)
            yield Static(key_hints(self._keys()), classes="answers")

    def _option(self, placed: tuple[int, Run]) -> Option:
        depth, run = placed
        mark = "●" if run.number == self._history.at else " "
        line = Content.assemble(
            (f"{mark} {'  ' * min(depth, 4)}{run.number:>2}  ", "bold"),
            _moment(run.session.created),
            f"  {fit(run.session.prompt.context[-400:], 26)} ",
            (f"{_answer(run)}", "$foreground-muted"),
        )
        return Option(
            Content("\n").join([line, Content.assemble(" " * 8, content(run.note))]) if run.note else line
        )

    def _keys(self) -> Iterator[tuple[str, str]]:
        yield "enter", "goes there" if self._enter == "go" else "compares"
        if self._enter != "compare":
            yield "c", "compare"
        yield from (("a", "note"), ("f", "compare with a file"))
        if self._compared:
            yield "x", f"stop comparing with {fit(self._compared, 16).rstrip()}"

    def on_mount(self) -> None:
        """Begin at the shown run; to compare, at the run before it."""
        listed = self.query_one(OptionList)
        listed.display = bool(self._runs)
        shown = (at for at, (_, run) in enumerate(self._runs) if run.number == self._history.at)
        at = next(shown, len(self._runs) - 1)
        listed.highlighted = max(at - (self._enter == "compare"), 0) if self._runs else None
        listed.focus()

    def action_move(self, step: int) -> None:
        listed = self.query_one(OptionList)
        (listed.action_cursor_down if step > 0 else listed.action_cursor_up)()

    @on(OptionList.OptionSelected)
    def take(self) -> None:
        """Do what the enter key does."""
        self.action_choose(self._enter)

    def action_choose(self, verb: Verb) -> None:
        """Close with this choice, where it is possible."""
        if verb == "file" or (verb == "alone" and self._compared):
            self.dismiss(RunChoice(verb))
        elif verb != "alone" and (at := self.query_one(OptionList).highlighted) is not None:
            self.dismiss(RunChoice(verb, self._runs[at][1].number))


def _moment(created: str) -> str:
    """Hour and minute on the user's clock, or spaces."""
    return fit(created[11:16] if created[10:11] == "T" else " " * 5, 5)


def _answer(run: Run) -> str:
    """The next token that the model predicts with the full context."""
    measured = run.session.measurement
    if measured is None:
        return "texts only" if run.session.generation else "not run"
    predictions = sorted(measured.predictions, key=lambda prediction: prediction.unit)
    if not predictions:
        return ""
    full: Prediction = predictions[-1 if measured.dynamics == "grow" else 0]
    first = full.top[0]
    return f"→ {fit(first.token.text, 12).rstrip()} {first.probability:.2f}"

"""The runs of the session as a tree: go to one, star, write a note, prune, search, fan out, put two side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widgets import Input, Static

from icltui.tui.dialogs.ask_text import AskTextDialog
from icltui.tui.dialogs.confirm import ConfirmDialog
from icltui.tui.dialogs.dialog import Dialog, key_hints
from icltui.tui.draw.safe_text import content, fit
from icltui.tui.state.explorer import Explorer
from icltui.tui.widgets.bindings import key_binding
from icltui.tui.widgets.line_input import LineInput
from icltui.tui.widgets.row_table import RowTable
from icltui.tui.widgets.run_preview import RunPreview
from icltui.tui.widgets.run_tree import MOST_MARKED, RunTree
from icltui.values import Run

Verb = Literal["go", "compare", "beside", "file", "alone", "fan"]
_FAN_SEEN_EVERY = 0.5
"""Seconds, while a fan brings runs."""


@dataclass(frozen=True)
class RunChoice:
    """What to do, and with which run; ``file`` and ``alone`` need no run, ``beside`` needs another one."""

    verb: Verb
    number: int = 0
    other: int = 0


class RunsDialog(Dialog[RunChoice | None]):
    """Closes with a choice, or with None; what changes the tree itself is done in it.

    Args:
        explorer: whose runs they are.
        enter: what the enter key does with the run under the cursor.
        at: the run that the cursor begins at; None: the present one, or to compare the run above it.
    """

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012  # Textual declares no class variable
        (0, "-narrow"),
        (100, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        key_binding(
            "runs.cancel", "escape,q", "back", "Cancel", "End the search, or leave everything as it is"
        ),
        key_binding("runs.enter", "enter", "enter", "Go", "Go to this run"),
        key_binding(
            "runs.compare", "c", "compare", "Compare", "Compare with this run, or the two that are marked"
        ),
        key_binding("runs.mark", "space", "mark", "Mark", "Mark this run, to put two side by side"),
        key_binding("runs.star", "asterisk", "star", "Star", "Mark this run as one to come back to"),
        key_binding("runs.note", "a", "note", "Note", "Write a line about this run"),
        key_binding("runs.prune", "d", "prune", "Prune", "Cut off this run and all that came of it"),
        key_binding("runs.regrow", "u", "regrow", "Undo", "Bring back the branch that was cut off last"),
        key_binding(
            "runs.search", "slash", "search", "Search", "Search prompts, notes and texts as you type"
        ),
        key_binding(
            "runs.fan", "f,ampersand", "choose('fan')", "Fan", "Run a grid of one choice from this run"
        ),
        key_binding("runs.file", "o", "choose('file')", "File", "Compare with a session file"),
        key_binding("runs.alone", "x", "choose('alone')", "Alone", "Stop comparing"),
    ]

    def __init__(self, explorer: Explorer, enter: Verb = "go", at: int | None = None) -> None:
        super().__init__()
        self._explorer, self._enter, self._at = explorer, enter, at
        self._tree = RunTree(explorer.history, id="runs")
        self._preview = RunPreview(id="run-preview")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog runs") as frame:
            frame.border_title = "Runs of this session" if self._enter == "go" else "Compare with"
            with Container(id="run-panes"):
                yield self._tree
                yield self._preview
            if not self._explorer.history.runs:
                yield Static("no run yet: ^r makes the first", markup=False)
            yield LineInput(placeholder="a word of a prompt, a note or a text", id="run-search")
            yield Static(key_hints(self._keys()), classes="answers")

    def _keys(self) -> Iterator[tuple[str, str]]:
        yield "enter", "go" if self._enter == "go" else "compare"
        yield from (("space c", "beside"), ("*", "star"), ("a", "note"), ("d u", "prune, undo"))
        yield from (("/", "search"), ("f", "fan"), ("o", "file"))
        if self._explorer.other:
            yield "x", f"stop comparing with {fit(self._explorer.other.label, 16).rstrip()}"

    def on_mount(self) -> None:
        """Begin at the shown run; to compare, at the run above it."""
        history = self._explorer.history
        above = history.neighbour(-1) if self._enter == "compare" else None
        self.query_one("#run-search").display = False
        self.query_one("#run-panes").display = bool(history.runs)
        self._tree.begin_at(self._at or (above.number if above else history.at))
        self._tree.focus()
        self._say_place()
        self.set_interval(_FAN_SEEN_EVERY, self._follow_fan)

    def _follow_fan(self) -> None:
        if self._tree.history is not self._explorer.history:
            self._renew()

    def _renew(self) -> None:
        """Show the tree as it is now."""
        self._tree.show(self._explorer.history, self._tree.pattern)
        self._say_place()

    def _say_place(self) -> None:
        tree, history = self._tree, self._explorer.history
        words = [f"{tree.row + 1} of {tree.n_rows}" if tree.n_rows else "none"]
        if tree.n_rows < len(history.runs):
            words = [f"{tree.n_rows} of {len(history.runs)} with “{tree.pattern}”"]
        if self._explorer.is_fanning and (fan := self._explorer.fan):
            words.append(f"fan: {fan.place} of {len(fan.points)}")
        if history.pruned:
            words.append("u undoes the cut")
        self.query_one(".runs").border_subtitle = content(" · ".join([*words, "esc closes"]))

    @on(RowTable.RowChanged)
    def preview(self) -> None:
        """Show the run under the cursor."""
        tree = self._tree
        self._preview.show(tree.lines[tree.row] if tree.lines else None)
        if self._tree.is_mounted:
            self._say_place()

    # What changes the tree.

    def action_star(self) -> None:
        if run := self._tree.run_at_cursor:
            self._explorer.star(run.number)
            self._renew()

    def action_note(self) -> None:
        if run := self._tree.run_at_cursor:
            self.app.push_screen(note_dialog(run), lambda note: self._take_note(run.number, note))

    def _take_note(self, number: int, note: str | None) -> None:
        if note is not None:
            self._explorer.annotate(number, note)
            self._renew()

    def action_prune(self) -> None:
        """Cut off at once what is neither starred nor led on; ask about the rest."""
        if (run := self._tree.run_at_cursor) is None:
            return
        branch = self._explorer.history.branch(run.number)
        if len(branch) == 1 and not run.starred and not run.note:
            self._prune("Prune", run.number)
            return
        question = ConfirmDialog(_prune_question(branch), {"p": "Prune", "c": "Cancel"})
        self.app.push_screen(question, lambda answer: self._prune(answer, run.number))

    def _prune(self, answer: str | None, number: int) -> None:
        if answer == "Prune" and self._explorer.prune(number):
            self._renew()

    def action_regrow(self) -> None:
        self._explorer.regrow()
        self._renew()

    def action_mark(self) -> None:
        self._tree.mark()

    # The search.

    def action_search(self) -> None:
        field = self.query_one("#run-search", Input)
        field.display = True
        field.focus()

    @on(Input.Changed, "#run-search")
    def seek(self, changed: Input.Changed) -> None:
        """Show the runs in which the word is, as it is typed."""
        self._tree.show(self._explorer.history, changed.value)
        self._say_place()

    @on(Input.Submitted, "#run-search")
    def leave_search(self) -> None:
        """Go on in what was found."""
        self.query_one("#run-search").display = bool(self._tree.pattern)
        self._tree.focus()

    def action_back(self) -> None:
        """End the search if there is one, else close."""
        field = self.query_one("#run-search", Input)
        if not field.display:
            self.dismiss(None)
            return
        field.value = ""
        field.display = False
        self._tree.focus()

    # What closes it.

    def action_enter(self) -> None:
        self.action_choose(self._enter)

    def action_compare(self) -> None:
        """Put the two marked runs side by side; or the marked one and that under the cursor; else as enter."""
        marked, run = self._tree.marked, self._tree.run_at_cursor
        pair = marked if len(marked) == MOST_MARKED or run is None else [*marked, run.number]
        if len({*pair}) == MOST_MARKED:
            self.dismiss(RunChoice("beside", *sorted(pair)))
        else:
            self.action_choose("compare")

    def action_choose(self, verb: Verb) -> None:
        """Close with this choice, where it is possible."""
        if verb == "file" or (verb == "alone" and self._explorer.other):
            self.dismiss(RunChoice(verb))
        elif verb != "alone" and (run := self._tree.run_at_cursor):
            self.dismiss(RunChoice(verb, run.number))


def note_dialog(run: Run) -> AskTextDialog:
    """Asks for the line about a run."""
    return AskTextDialog(f"Note on run {run.number}", run.note, "what you saw in it")


def _prune_question(branch: tuple[Run, ...]) -> str:
    run, n_below, n_starred = branch[0], len(branch) - 1, sum(run.starred for run in branch)
    below = f" with {n_below} run{'s' if n_below > 1 else ''} below it" if n_below else ""
    kept = [f"{n_starred} starred"] if n_starred else []
    kept += ["with a note"] if any(one.note for one in branch) else []
    marks = f" ({', '.join(kept)})" if kept else ""
    return f"Prune run {run.number}{below}{marks}? u brings it back."

"""The runs as lines: each one's place in the tree, what tells it from its parent, its KL, and what its patch said.

Runs enter; cells of exact width leave, each with its role.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from icltui.tui.draw.exam_lines import Cells
from icltui.tui.draw.safe_text import fit, number
from icltui.tui.state.history import History
from icltui.tui.state.run_tree import tree_lines
from icltui.tui.state.run_words import RunNumbers, first_words, searched_text, title_of
from icltui.values import Run

_KL, _GAP = 6, 2
_WIDEST_WORDS = 34
_DEEPEST = 12
"""Cells of guides; of deeper ones the end."""


@dataclass(frozen=True)
class RunLine:
    """One run in the tree."""

    run: Run
    guides: str
    title: str
    numbers: RunNumbers
    words: str
    """What the patched lane says, else the one with the context."""
    is_patched: bool


def run_lines(history: History, pattern: str = "") -> list[RunLine]:
    """The tree of the runs in which ``pattern`` is found, in whatever case; of all without one."""
    known = {run.number: run for run in history.runs}
    titles = {number: title_of(run, known.get(run.parent or 0)) for number, run in known.items()}
    wanted = pattern.lower().strip()
    kept: set[int] | None = None
    if wanted:
        kept = {number for number, run in known.items() if wanted in searched_text(run, titles[number])}
    return [_line(run, guides, titles[run.number]) for run, guides in tree_lines(history.runs, kept)]


def _line(run: Run, guides: str, title: str) -> RunLine:
    generation = run.session.generation
    return RunLine(
        run=run,
        guides=guides,
        title=title,
        numbers=RunNumbers.of(run.session),
        words=first_words(run.session),
        is_patched=generation is not None and "patched" in generation.lanes,
    )


def header(width: int) -> str:
    """The names of the columns."""
    title, words = _widths(width)
    kl = f"{'KL':>{_KL}}"
    says = " " * _GAP + set_cell_size("ΔW says", words) if words else ""
    return set_cell_size("  run", title) + " " * _GAP + kl + says


def cells(line: RunLine, width: int, is_present: bool, is_marked: bool) -> Cells:
    """One line on ``width`` cells: marks, guides and number, title and note, KL, first words."""
    run = line.run
    room, words = _widths(width)
    marks = f"{'●' if is_present else ' '}{'◆' if is_marked else ' '}"
    guides = line.guides if len(line.guides) <= _DEEPEST else f"…{line.guides[1 - _DEEPEST :]}"
    head = f"{guides}{run.number}{'★' if run.starred else ' '} "
    left = room - len(marks) - cell_len(head)
    title = fit(line.title, max(left, 0))
    spare = left - cell_len(title.rstrip(" ")) - _GAP
    made: Cells = [(marks, "mark"), (set_cell_size(head, min(cell_len(head), max(room - 2, 0))), "quiet")]
    if run.note and spare >= 4:
        made += [(title.rstrip(" "), ""), (" " * _GAP + fit(f"“{run.note}”", spare), "quiet")]
    else:
        made += [(title, "")]
    made += [(" " * _GAP + number(line.numbers.kl, _KL), "")]
    if words:
        said = fit(line.words.strip() or "not run", words)
        made += [(" " * _GAP + said, "" if line.is_patched else "quiet")]
    return made


def _widths(width: int) -> tuple[int, int]:
    """Cells of the title with all that is left of it, and of the first words."""
    left = max(width - _KL - 2 * _GAP, 0)
    words = min(left * 2 // 5, _WIDEST_WORDS)
    return (left - words, words) if words >= 8 else (max(width - _KL - _GAP, 0), 0)


def found(lines: Sequence[RunLine], number: int | None) -> int:
    """The line of a run; the last one where it is not among them."""
    return next((at for at, line in enumerate(lines) if line.run.number == number), len(lines) - 1)

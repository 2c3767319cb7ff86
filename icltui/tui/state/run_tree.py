"""The runs of a session in the order of their tree: each run above what came of it, with the guides to its left."""

from collections import defaultdict
from collections.abc import Container, Sequence
from typing import NamedTuple

from icltui.values import Run


class TreeLine(NamedTuple):
    """One line of the tree."""

    run: Run
    guides: str
    """Such as ``│  ├─``; empty at a root, and the parent's own where the run is all that came of it."""


def tree_lines(runs: Sequence[Run], kept: Container[int] | None = None) -> list[TreeLine]:
    """Each run after its parent, siblings in the order of their numbers.

    A run that is all that came of its parent is at the parent's depth, so that a long chain does not move to the right.
    Only the ``kept`` numbers are shown, under their nearest ancestor that is shown; None: all of them.
    """
    known = {run.number: run for run in runs}
    shown = [run for run in runs if kept is None or run.number in kept]
    children: dict[int | None, list[Run]] = defaultdict(list)
    for run in shown:
        children[_shown_parent(run, known, kept)].append(run)
    lines: list[TreeLine] = []
    waiting = [(root, "", "") for root in reversed(children[None])]
    while waiting:
        run, guides, below = waiting.pop()
        lines.append(TreeLine(run, guides))
        waiting += reversed(_below(children[run.number], below))
    return lines


def branch_of(runs: Sequence[Run], number: int) -> tuple[Run, ...]:
    """The run of that number and all that came of it, in the order of their numbers."""
    found = {number}
    for run in runs:  # a parent comes before its children
        if run.parent in found:
            found.add(run.number)
    return tuple(run for run in runs if run.number in found)


def _shown_parent(run: Run, known: dict[int, Run], kept: Container[int] | None) -> int | None:
    parent = run.parent
    while parent in known and kept is not None and parent not in kept:
        parent = known[parent].parent
    return parent if parent in known else None


def _below(children: Sequence[Run], guides: str) -> list[tuple[Run, str, str]]:
    """Each child with its guides, and those of what comes of it."""
    if len(children) == 1:
        return [(children[0], guides, guides)]
    last = len(children) - 1
    return [
        (child, f"{guides}{'└─' if at == last else '├─'}", f"{guides}{'  ' if at == last else '│ '}")
        for at, child in enumerate(children)
    ]

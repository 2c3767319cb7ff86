"""The runs of a session: kept as they end, to step back to, to branch from, and to write a line about.

A run is what was asked and what came of it. Turning ΔW on, another strength or a proof add to the run before the user;
another prompt, other layers, another model, or a run asked for with other choices begin the next one; so does another
patch after one that was varied, whose curves cost too much to be let go. A run that the user starred, wrote a note on
or branched from keeps its choices: other ones begin the next run.
"""

from dataclasses import dataclass, replace

from msgspec.structs import replace as with_changes

from icltui.tui.state.one_run import (
    RESULTS,
    has_results,
    is_all_in,
    is_same_run,
    joined_results,
    loses_curves,
)
from icltui.tui.state.run_tree import branch_of, tree_lines
from icltui.values import Run, Session

MOST_ROWS = 200_000
"""Rows of numbers over all runs; beyond them the oldest runs keep their prompt and texts only. About 70 megabytes."""


@dataclass(frozen=True)
class History:
    """Runs in the order of their numbers, and the number of the run on the screen."""

    runs: tuple[Run, ...] = ()
    at: int | None = None
    pruned: tuple[tuple[Run, ...], ...] = ()
    """The branches that were cut off, the last one at the end, to be brought back while the session is open."""

    @classmethod
    def of(cls, session: Session) -> "History":
        """The history of a session that was read; a session without runs is its own first run."""
        if session.runs:
            return cls(session.runs, session.run)
        return cls().recorded(session)

    @property
    def present(self) -> Run | None:
        """The run on the screen."""
        return self.run(self.at)

    def run(self, number: int | None) -> Run | None:
        """The run of that number."""
        return next((run for run in self.runs if run.number == number), None)

    def recorded(self, session: Session, is_new: bool = False) -> "History":
        """This history with the results of a run; ``is_new``: a run was asked for, not more of the present one."""
        alone = session.alone
        if not has_results(alone):
            return self
        present = self.present
        if (
            present is None
            or not is_same_run(present.session, alone, is_new or self._is_kept(present))
            or loses_curves(present.session, alone)
        ):
            return self._with(alone)._thinned()
        run = with_changes(present, session=joined_results(present.session, alone))
        return replace(self, runs=tuple(run if r.number == run.number else r for r in self.runs))

    def drafted(self, session: Session) -> "History":
        """This history with a prompt that was typed and never run, so that going to another run does not lose it."""
        present = self.present
        text = (session.prompt.context, session.prompt.query)
        is_known = present and text == (present.session.prompt.context, present.session.prompt.query)
        if is_known or not any(text):
            return self
        bare = with_changes(session.alone, model=None, **dict.fromkeys(RESULTS))
        return self._with(bare)

    def noted(self, number: int, note: str) -> "History":
        """This history with the user's note about a run."""
        runs = (with_changes(run, note=note) if run.number == number else run for run in self.runs)
        return replace(self, runs=tuple(runs))

    def starred(self, number: int) -> "History":
        """This history with the star of a run set, or taken away."""
        runs = (
            with_changes(run, starred=not run.starred) if run.number == number else run for run in self.runs
        )
        return replace(self, runs=tuple(runs))

    def with_child(self, parent: int | None, session: Session) -> "History":
        """This history with another run that came of ``parent``; the present run stays on the screen."""
        number = self._next_number
        run = Run(number=number, parent=parent, session=session.alone)
        return replace(self, runs=(*self.runs, run))._thinned()

    def branch(self, number: int) -> tuple[Run, ...]:
        """The run of that number and all that came of it."""
        return branch_of(self.runs, number)

    def without(self, number: int) -> "History":
        """This history without the branch of that run, which :meth:`regrown` brings back.

        A present run that goes with it gives way to its parent, else the run above, else the one below.
        """
        branch = self.branch(number)
        gone = {run.number for run in branch}
        order = [line.run.number for line in tree_lines(self.runs)]
        left = [other for other in order if other not in gone]
        at = self.at
        if at in gone:
            cut = self.run(number)
            above = [other for other in order[: order.index(number)] if other not in gone]
            nearest = [cut.parent] if cut and cut.parent in left else [*above[-1:], *left[:1]]
            at = nearest[0] if nearest else None
        runs = tuple(run for run in self.runs if run.number not in gone)
        return replace(self, runs=runs, at=at, pruned=(*self.pruned, branch))

    def regrown(self) -> "History":
        """This history with the branch that was cut off last."""
        if not self.pruned:
            return self
        runs = sorted((*self.runs, *self.pruned[-1]), key=lambda run: run.number)
        return replace(self, runs=tuple(runs), pruned=self.pruned[:-1])

    def neighbour(self, step: int) -> Run | None:
        """The run ``step`` lines further down the tree; None beyond the ends."""
        runs = [line.run for line in tree_lines(self.runs)]
        numbers = [run.number for run in runs]
        place = numbers.index(self.at) + step if self.at in numbers else len(numbers) - 1
        return runs[place] if 0 <= place < len(runs) else None

    @property
    def place(self) -> int:
        """The line of the present run in the tree, from 1; 0 where there is none."""
        return next((at for at, line in enumerate(tree_lines(self.runs), 1) if line.run.number == self.at), 0)

    def saved_in(self, session: Session) -> Session:
        """``session`` with the runs, where there is more to them than itself."""
        if len(self.runs) < 2 and all(is_all_in(session, run) for run in self.runs):
            return session
        return with_changes(session, runs=self.runs, run=self.at)

    def _is_kept(self, run: Run) -> bool:
        """Whether the user meant it to stay as it is."""
        return bool(run.starred or run.note or any(other.parent == run.number for other in self.runs))

    @property
    def _next_number(self) -> int:
        """No number is given twice, not even that of a run that was cut off."""
        branches = (self.runs, *self.pruned)
        return max((run.number for branch in branches for run in branch), default=0) + 1

    def _with(self, alone: Session) -> "History":
        number = self._next_number
        run = Run(number=number, parent=self.at, session=alone)
        return replace(self, runs=(*self.runs, run), at=number)

    def _thinned(self) -> "History":
        """The newest runs with their rows, as many as there is room for; runs that share rows take room once."""
        room, counted, runs = MOST_ROWS, set[int](), list[Run]()
        for run in reversed(self.runs):
            measured = run.session.measurement
            if measured and id(measured) not in counted:
                counted.add(id(measured))
                room -= len(measured.rows)
            is_kept = room >= 0 or run.number == self.at
            runs.append(
                run if is_kept else with_changes(run, session=with_changes(run.session, measurement=None))
            )
        return replace(self, runs=tuple(reversed(runs)))

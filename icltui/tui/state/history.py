"""The runs of a session: kept as they end, to step back to, to branch from, and to write a line about.

A run is what was asked and what came of it. Turning ΔW on, another strength or a proof add to the run before the user;
another prompt, other layers, another model, or a run asked for with other choices begin the next one; so does another
patch after one that was varied, whose curves cost too much to be let go.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from msgspec.structs import replace as with_changes

from icltui.tui.state.provenance import fingerprint
from icltui.values import Generation, Run, Session

MOST_ROWS = 200_000
"""Rows of numbers over all runs; beyond them the oldest runs keep their prompt and texts only. About 70 megabytes."""

_RESULTS = ("measurement", "generation", "verification", "compilation", "exam", "curves", "heads")
"""The fields of a session that hold results."""


@dataclass(frozen=True)
class History:
    """Runs in the order of their numbers, and the number of the run on the screen."""

    runs: tuple[Run, ...] = ()
    at: int | None = None

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
        if not _has_results(alone):
            return self
        present = self.present
        if (
            present is None
            or not _is_same_run(present.session, alone, is_new)
            or _loses_curves(present.session, alone)
        ):
            return self._with(alone)._thinned()
        run = with_changes(present, session=_joined(present.session, alone))
        return replace(self, runs=tuple(run if r.number == run.number else r for r in self.runs))

    def drafted(self, session: Session) -> "History":
        """This history with a prompt that was typed and never run, so that going to another run does not lose it."""
        present = self.present
        text = (session.prompt.context, session.prompt.query)
        is_known = present and text == (present.session.prompt.context, present.session.prompt.query)
        if is_known or not any(text):
            return self
        bare = with_changes(session.alone, model=None, **dict.fromkeys(_RESULTS))
        return self._with(bare)

    def noted(self, number: int, note: str) -> "History":
        """This history with the user's note about a run."""
        runs = (with_changes(run, note=note) if run.number == number else run for run in self.runs)
        return replace(self, runs=tuple(runs))

    def neighbour(self, step: int) -> Run | None:
        """The run ``step`` further in the order of numbers; None beyond the ends."""
        numbers = [run.number for run in self.runs]
        place = numbers.index(self.at) + step if self.at in numbers else len(numbers) - 1
        return self.runs[place] if 0 <= place < len(self.runs) else None

    def saved_in(self, session: Session) -> Session:
        """``session`` with the runs, where there is more to them than itself."""
        if len(self.runs) < 2 and all(_is_all_in(session, run) for run in self.runs):
            return session
        return with_changes(session, runs=self.runs, run=self.at)

    def tree(self) -> Iterator[tuple[int, Run]]:
        """Each run with its depth: a branch goes one deeper where its parent has gone on another way before."""
        depths: dict[int | None, int] = {None: 0}
        led_on: set[int | None] = set()
        for run in self.runs:
            parent = run.parent if run.parent in depths else None
            depths[run.number] = depths[parent] + (parent in led_on and parent is not None)
            led_on.add(parent)
            yield depths[run.number], run

    def _with(self, alone: Session) -> "History":
        number = max((run.number for run in self.runs), default=0) + 1
        return History((*self.runs, Run(number=number, parent=self.at, session=alone)), number)

    def _thinned(self) -> "History":
        """The newest runs with their rows, as many as there is room for."""
        room, runs = MOST_ROWS, []
        for run in reversed(self.runs):
            measured = run.session.measurement
            room -= len(measured.rows) if measured else 0
            is_kept = room >= 0 or run.number == self.at
            runs.append(
                run if is_kept else with_changes(run, session=with_changes(run.session, measurement=None))
            )
        return replace(self, runs=tuple(reversed(runs)))


def _has_results(session: Session) -> bool:
    return any(getattr(session, name) for name in _RESULTS)


def _is_all_in(session: Session, run: Run) -> bool:
    ours = run.session
    pairs = ((getattr(ours, name), getattr(session, name)) for name in _RESULTS)
    return not run.note and all(one is None or one == other for one, other in pairs)


def _is_same_run(ours: Session, theirs: Session, is_new: bool) -> bool:
    if not _has_results(ours):  # put down by drafted() and not run
        return ours.prompt == theirs.prompt
    if _asked(ours) != _asked(theirs):
        return False
    return not is_new or _drawn(ours) == _drawn(theirs)


def _asked(session: Session) -> tuple[object, ...]:
    return (
        session.prompt,
        session.layers,
        session.dynamics,
        session.reference,
        session.precision,
        fingerprint(session.model),
    )


def _drawn(session: Session) -> tuple[object, ...]:
    return (session.recipe, session.sampling, session.n_tokens, session.holdout)


def _adds_no_text(before: Generation | None, now: Generation | None) -> bool:
    """Whether ``now`` has none that ``before`` has not, and fewer."""
    if before is None or now is None:
        return before is not None
    is_part = all(before.lanes.get(lane) == text for lane, text in now.lanes.items())
    return is_part and len(now.lanes) < len(before.lanes)


def _loses_curves(before: Session, now: Session) -> bool:
    if _adds_no_text(before.generation, now.generation):
        return False
    return _has_curves(before.generation) and not _has_curves(now.generation)


def _has_curves(generation: Generation | None) -> bool:
    return bool(generation and generation.patch and generation.patch.curves)


def _joined(before: Session, now: Session) -> Session:
    """One run's results, the newer where there are both; its texts stay with the choices that they answer."""
    joined = with_changes(
        now,
        created=before.created,
        measurement=now.measurement or before.measurement,
        verification=now.verification or before.verification,
        compilation=now.compilation or before.compilation,
        exam=now.exam or before.exam,
        curves=now.curves or before.curves,
        heads=now.heads or before.heads,
    )
    if _adds_no_text(before.generation, now.generation):
        return with_changes(
            joined,
            generation=before.generation,
            recipe=before.recipe,
            sampling=before.sampling,
            n_tokens=before.n_tokens,
            holdout=before.holdout,
        )
    return joined

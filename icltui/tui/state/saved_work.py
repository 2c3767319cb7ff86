"""What of the user's a file holds, so that the work on the screen can be compared with it.

Numbers that were computed again from the same prompt and choices by the same model are no new work; other choices, a
run, a note, a kind of result that the file has not, are.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from msgspec.structs import replace as with_changes

from icltui.tui.state.history import History
from icltui.tui.state.one_run import RESULTS
from icltui.tui.state.provenance import fingerprint
from icltui.tui.state.run_settings import RunSettings
from icltui.values import Run, Session


@dataclass(frozen=True)
class Work:
    """The choices and the runs on the screen."""

    settings: RunSettings
    history: History

    def holds(self, other: "Work") -> bool:
        """Whether nothing of the user's in ``other`` is lost where only this is kept."""
        if other.settings is self.settings and other.history is self.history:
            return True
        return self._holds_runs(other) and self._holds_choices(other)

    def _holds_runs(self, other: "Work") -> bool:
        if other.history.runs is self.history.runs:
            return True
        if other._runs.keys() != self._runs.keys():
            return False
        return all(
            asked == self._runs[number][0] and results <= self._runs[number][1]
            for number, (asked, results) in other._runs.items()
        )

    def _holds_choices(self, other: "Work") -> bool:
        """Whether they are the ones kept, or those of a run, which nobody loses by stepping to it."""
        if replace(other.settings, is_delta_on=self.settings.is_delta_on) == self.settings:
            return True
        choices = other.settings.choices(Session)
        return any(
            all(getattr(run.session, name) == value for name, value in choices.items())
            for run in self.history.runs
        )

    @cached_property
    def _runs(self) -> dict[int, tuple[Any, frozenset[str]]]:
        return {run.number: (_asked(run), _results(run.session)) for run in self.history.runs}


def _asked(run: Run) -> tuple[object, ...]:
    """A run without what was computed."""
    session = with_changes(run.session, format=1, title="", created="", model=None, **dict.fromkeys(RESULTS))
    return with_changes(run, session=session), fingerprint(run.session.model)


def _results(session: Session) -> frozenset[str]:
    """The kinds of results: the lanes one by one, and the patch's curves apart."""
    names = {name for name in RESULTS if getattr(session, name) is not None}
    if generation := session.generation:
        names |= {f"lane {lane}" for lane in generation.lanes}
        names |= {"curves of the patch"} if generation.patch and generation.patch.curves else set()
    return frozenset(names)

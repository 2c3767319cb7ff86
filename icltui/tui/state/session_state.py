"""The state of one session on the screen: settings, results, engine log, file, history; and whether all is saved.

It knows of no engine. A view that listens hears which part to redraw, and plain lines for the user.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from icltui.api.messages import Request
from icltui.tui.state.change import Change
from icltui.tui.state.compared_session import ComparedSession
from icltui.tui.state.engine_status import EngineStatus
from icltui.tui.state.history import History
from icltui.tui.state.results import Results
from icltui.tui.state.run_settings import RunSettings, refused_by
from icltui.tui.state.saved_work import Work
from icltui.tui.state.session_conversion import left_out, session_of, settings_of
from icltui.tui.state.session_file import Document, document_of, stamp_of
from icltui.values import ModelInfo, Run, Session
from icltui.values.prompt import resolve_layers


class SessionState:
    """One document with its numbers."""

    def __init__(self) -> None:
        self.settings, self.document, self.results, self.engine_status = (
            RunSettings(),
            Document(),
            Results(),
            EngineStatus(),
        )
        self.history = History()
        self.other: ComparedSession | None = None
        """The session that the numbers are compared with."""
        self._saved: Work | None = None
        """The work that is in a file, or that nobody would miss; None: no file has what is on the screen."""
        self.is_unsaved = False
        self._changed: Callable[[Change], object] = lambda _change: None
        self._noticed: Callable[[str, bool], object] = lambda _text, _is_error: None
        self._logged: Callable[[Session], object] = lambda _measured: None

    def listen(self, changed: Callable[[Change], object], noticed: Callable[[str, bool], object]) -> None:
        """Report changes to a view from now on."""
        self._changed, self._noticed = changed, noticed

    def log_to(self, logged: Callable[[Session], object]) -> None:
        """Hand each measurement that is whole to ``logged`` from now on, as a session with nothing else."""
        self._logged = logged

    def hear_log(self, line: str, is_notice: bool, is_error: bool) -> None:
        """Take a line about where measurements are logged."""
        self.engine_status.lines.append(line)
        self._changed(Change.LOG)
        if is_notice:
            self._noticed(line, is_error)

    @property
    def model(self) -> ModelInfo | None:
        """The loaded model; before one is loaded, the model of the saved numbers."""
        return self.results.model

    @property
    def n_layers(self) -> int:
        """Layers of the model; before it is loaded, those that the saved numbers speak of."""
        if self.model:
            return self.model.n_layers
        measured = self.results.measurement
        return measured.layers[-1] + 1 if measured and measured.layers else 0

    @property
    def refused(self) -> dict[int, str]:
        """The layers of the model that cannot be used, with the reason."""
        return refused_by(self.model)

    @property
    def ticked(self) -> tuple[int, ...]:
        """The layers that the next run measures and patches."""
        return self.settings.chosen(self.n_layers, self.refused) if self.n_layers else ()

    def layers_of(self, text: str) -> tuple[int, ...]:
        """The layers that ``text`` names on this model.

        Raises:
            BadInput: it names none that there is, or a refused one.
        """
        return resolve_layers(text, self.n_layers, self.refused)

    def choose_layers(self, layers: set[int]) -> None:
        """Tick exactly these layers, none of which may be refused; the numbers follow at the next run."""
        if barred := sorted(layers & self.refused.keys()):
            self._noticed(f"layer {barred[0]} is refused: {self.refused[barred[0]]}", True)
        else:
            self._set_settings(self.settings.ticked(layers, self.n_layers, self.refused))

    def session(self, title: str) -> Session:
        """The session that would be saved now under this title."""
        return self.history.saved_in(
            session_of(replace(self.document, title=title), self.settings, self.results)
        )

    def saved(self, path: Path, session: Session) -> tuple[str, ...]:
        """Remember that ``session`` was written to ``path``; what is on the screen and not in it is still unsaved."""
        self.document = Document(
            path=path, title=session.title, created=session.created, stamp=stamp_of(path)
        )
        missing = left_out(session, self.settings, self.results)
        # While it was written the user may have gone on.
        self.is_unsaved = bool(missing) or self.session(session.title) != session
        self._changed(Change.STATUS)
        return missing

    @property
    def is_unsaved(self) -> bool:
        """Whether something of the user's would be lost; set to False, what is there now counts as saved."""
        return self._saved is None or not self._saved.holds(Work(self.settings, self.history))

    @is_unsaved.setter
    def is_unsaved(self, is_unsaved: bool) -> None:
        self._saved = None if is_unsaved else Work(self.settings, self.history)

    def say(self, line: str) -> None:
        """One plain line for the user."""
        self._noticed(line, False)

    def complain(self, line: str) -> None:
        """One plain line for the user about something that cannot be done."""
        self._noticed(line, True)

    # The runs before.

    def annotate(self, number: int, note: str) -> None:
        """Write the user's note about a run."""
        self.history = self.history.noted(number, note.strip())
        self._changed(Change.SETTINGS)

    def star(self, number: int) -> None:
        """Mark a run as one to come back to, or no more."""
        self.history = self.history.starred(number)
        self._changed(Change.SETTINGS)

    def compare_with(self, other: ComparedSession | None) -> None:
        """Compare the numbers with others from now on, or with none."""
        self.other = other
        self._changed(Change.NUMBERS)

    def _record(self, request: Request, is_new: bool) -> None:
        """Record the results of ``request``."""
        self._keep_history(self.history.recorded(self._run_of(self.settings.asking(request)), is_new))

    def _keep_history(self, history: History) -> None:
        """Take a history with more in it; where there is no more room, say which numbers were dropped."""
        before = {run.number for run in self.history.runs if run.session.measurement}
        self.history = history
        after = {run.number for run in self.history.runs if run.session.measurement}
        if gone := sorted(before - after):
            self._noticed(
                f"history is full: run {gone[-1]} keeps its prompt and texts, its numbers were dropped", False
            )

    def _run_of(self, settings: RunSettings) -> Session:
        return session_of(replace(self.document, created=""), settings, self.results)

    def _return_to(self, run: Run, loaded: ModelInfo | None) -> None:
        """Show an earlier run; a prompt that was typed and not run is recorded first."""
        drafted = self.history.drafted(self._run_of(self.settings))
        session = run.session
        is_delta_on, self.settings = self.settings.is_delta_on, settings_of(session, None)
        if session.generation is None:  # nothing tells whether ΔW was on
            self.settings = replace(self.settings, is_delta_on=is_delta_on)
        self.results = Results.from_session(session, self.settings, loaded or session.model)
        self.history = replace(drafted, at=run.number)
        self._changed(Change.DOCUMENT)

    def _show(self, session: Session, path: Path | None, loaded: ModelInfo | None) -> None:
        """Show ``session``; with a ``loaded`` model its numbers may be another model's."""
        self.settings, self.document = settings_of(session, path), document_of(session, path)
        self.results = Results.from_session(session, self.settings, loaded or session.model)
        self.history, self.other = History.of(session), None
        self.is_unsaved = False

    def _set_settings(self, settings: RunSettings) -> None:
        self.settings = settings
        self._changed(Change.SETTINGS)

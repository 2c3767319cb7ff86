"""What is known of a context as one patch: its compilation and its exam, each with the request that it answers.

An exam that is cut leaves the complete one before it; without one, the rows that it had.
"""

from dataclasses import replace

from msgspec.structs import replace as with_changes

from icltui.api.messages import (
    ChoiceAdvanced,
    Compile,
    CompileEnded,
    Event,
    ExamEnded,
    Examine,
    ExamRowEnded,
    ExamStarted,
    Request,
)
from icltui.tui.state.provenance import Provenance
from icltui.tui.state.run_settings import RunSettings
from icltui.values import ChoicePoint, Compilation, Exam, ModelInfo, Session
from icltui.values.recipe import canonical


class Trials:
    """The last compilation and the last exam; while a job runs they change through :meth:`take` alone."""

    def __init__(self) -> None:
        self.compilation: Compilation | None = None
        self.compilation_origin: Provenance | None = None
        self.points: tuple[ChoicePoint, ...] = ()
        """What the compilation has tried so far, or the last one tried."""
        self.exam: Exam | None = None
        self.exam_origin: Provenance | None = None
        self._complete: tuple[Exam | None, Provenance | None] = (None, None)
        """The last exam that came to its end."""
        self._trying: Request | None = None

    @classmethod
    def from_session(cls, session: Session, settings: RunSettings) -> "Trials":
        """What a session was saved with; ``settings`` is what it was saved from."""
        trials = cls()
        if made := session.compilation:
            trials._keep(made, Provenance(_compile_of(made, settings), session.model))
        if exam := session.exam:
            trials.exam, trials.exam_origin = exam, Provenance(_examine_of(exam, settings), session.model)
            trials._complete = trials.exam, trials.exam_origin
        return trials

    def take(self, request: Request, event: Event, exam: Exam | None, model: ModelInfo | None) -> None:
        """Add one event of the job that ``request`` started; ``exam`` is what its events add up to."""
        match request, event:
            case Compile(), ChoiceAdvanced():
                tried = self.points if self._trying is request else ()
                self._trying, self.points = request, (*tried, event.point)
            case Compile(), CompileEnded():
                self._keep(event.compilation, Provenance(request, model))
            case Examine(), ExamStarted() | ExamRowEnded() | ExamEnded() if exam:
                if self.exam_origin is None or self.exam_origin.request is not request:
                    self.exam_origin = Provenance(request, model)
                self.exam = exam
                if isinstance(event, ExamEnded):
                    self._complete = exam, self.exam_origin

    def _keep(self, compilation: Compilation, origin: Provenance) -> None:
        self.compilation, self.compilation_origin = compilation, origin
        self.points = compilation.leave_one_out.curve or self.points

    def give_up(self) -> bool:
        """End a job that is not complete: what was complete before is shown again; whether anything was cut."""
        if self._trying is not None:
            self._trying = None
            self.points = self.compilation.leave_one_out.curve if self.compilation else ()
        origin, (exam, whole) = self.exam_origin, self._complete
        if origin is None or origin is whole or origin.is_stopped:
            return False
        if exam:
            self.exam, self.exam_origin = exam, whole
        else:
            self.exam_origin = replace(origin, is_stopped=True)
        return True

    def is_trying(self, request: Request) -> bool:
        """Whether the points are those of ``request``, which is being answered."""
        return self._trying is request

    # What is still the answer.

    def adopted(self, settings: RunSettings) -> Compilation | None:
        """The compilation whose patch ``settings`` asks for: its recipe on its layers, after its context."""
        made, origin = self.compilation, self.compilation_origin
        if made is None or origin is None or not isinstance(origin.request, Compile):
            return None
        theirs = settings.patched_by(made, origin.model)
        is_same = (theirs.layers, canonical(theirs.recipe)) == (settings.layers, canonical(settings.recipe))
        return made if is_same and settings.prompt == origin.request.prompt else None

    def compile(self, settings: RunSettings) -> Compile:
        """The request that compiles: where the settings are what a compilation chose, it chooses anew."""
        request, origin = settings.compile(), self.compilation_origin
        if self.adopted(settings) is None or origin is None or not isinstance(origin.request, Compile):
            return request
        recipe = with_changes(origin.request.recipe, queries=request.recipe.queries)
        return with_changes(
            request, layers=origin.request.layers, recipe=recipe, pinned=origin.request.pinned
        )

    def is_compiled_for(self, settings: RunSettings) -> bool:
        """Whether the compilation is of this context and these queries, on whatever model."""
        made, origin = self.compilation, self.compilation_origin
        if made is None or origin is None or not isinstance(origin.request, Compile):
            return False
        ours = origin.request.recipe.queries, made.recipe.queries, made.calibration.queries
        is_same = (settings.prompt, settings.holdout) == (origin.request.prompt, origin.request.holdout)
        return is_same and settings.recipe.queries in ours

    def is_compilation_fresh(self, settings: RunSettings, model: ModelInfo | None) -> bool:
        """Whether the compilation is of these queries and of the model; also where there is none."""
        origin = self.compilation_origin
        return origin is None or (origin.is_of(model) and self.is_compiled_for(settings))

    def is_exam_fresh(self, settings: RunSettings, model: ModelInfo | None) -> bool:
        """Whether the exam is of these settings and the model; also where there is none."""
        origin = self.exam_origin
        return origin is None or (not origin.is_stopped and origin.is_what(settings.examine(), model))


def _compile_of(made: Compilation, settings: RunSettings) -> Compile:
    """The request that a saved compilation answered: it names its queries itself."""
    unseen = tuple(query.query for query in made.queries if query.role == "unseen")
    holdout = _holdout(unseen, made.calibration.queries, settings)
    return replace(settings, layers="all", recipe=made.recipe, holdout=holdout).compile()


def _examine_of(exam: Exam, settings: RunSettings) -> Examine:
    """The request that a saved exam answered: it names its queries itself."""
    asked = settings.examine()
    holdout = _holdout(tuple(query.query for query in exam.queries), exam.calibration, settings)
    return with_changes(asked, recipe=with_changes(asked.recipe, queries=exam.calibration), holdout=holdout)


def _holdout(unseen: tuple[str, ...], fitted: tuple[str, ...], settings: RunSettings) -> tuple[str, ...]:
    """The settings' held-out queries where ``unseen`` are these but for fitted ones and the prompt's own."""
    differing = {*unseen} ^ ({*settings.holdout} - {*fitted})
    return settings.holdout if differing <= {settings.prompt.query} else unseen

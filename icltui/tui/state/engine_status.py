"""What the engine reports of itself: progress, memory, the model's facts, failures; and the log of it.

Events enter; lines for people leave. Nothing here decides what is done about them.
"""

from collections.abc import Sequence

from icltui.api.messages import (
    JOB_OVER,
    CompileEnded,
    CountTokens,
    CurvesEnded,
    EngineAwaited,
    EngineDied,
    EngineStarted,
    EstimateModel,
    Event,
    ExamEnded,
    ExamRowEnded,
    Export,
    ExportEnded,
    HeadsEnded,
    JobFailed,
    LoadModel,
    Measure,
    MeasureEnded,
    ModelEstimated,
    ModelLoaded,
    PatchTested,
    Progress,
    PromptTokenized,
    QueryWritten,
    Request,
)
from icltui.report.kept_prefix import sink_fact
from icltui.text.units import in_bytes, short
from icltui.tui.state.log_lines import TimedLines
from icltui.tui.state.pace import Pace
from icltui.tui.state.run_settings import method_words
from icltui.values import Estimate, ModelInfo
from icltui.values.exam import EXAM_TITLES


class EngineStatus:
    """The log, and what of the present is no result."""

    def __init__(self) -> None:
        self.lines = TimedLines()
        self.progress: Progress | None = None
        self.pace = Pace()
        self.estimate: Estimate | None = None
        """What the model to be loaded takes, until its loading begins."""
        self.death: str = ""
        """Why the engine is gone; empty while it is not."""
        self.written = ""
        """What the last export of a patch wrote, in one line."""
        self.silence = 0
        """Seconds for which a starting engine has not answered, as last reported."""
        self._failure = ""
        self._told: set[str] = set()
        """Lines that are not repeated for the same model."""
        self._model: ModelInfo | None = None

    def begin(self) -> None:
        """Forget the engine before: another is being started."""
        self.death, self._failure, self.silence = "", "", 0

    def rest(self) -> None:
        """Forget the progress of a job that is over."""
        self.progress = self.estimate = None
        self.pace.rest()

    def take_engine(self, event: EngineStarted | EngineAwaited | EngineDied) -> None:
        """Remember a start, a silence before it, or a death."""
        self.rest()
        if isinstance(event, EngineAwaited):
            if not self.silence:
                self.lines.append("the engine has not answered yet: waiting for it")
                self.lines += event.log_tail
            self.silence = event.seconds
            return
        self.silence = 0
        if isinstance(event, EngineStarted):
            self.lines.append(f"engine {event.version} started")
            return
        self.death = event.message
        if self._failure != event.message:  # which the job that died with it has reported
            self.lines.append(event.message)
        self.lines += event.log_tail

    def take(self, request: Request, event: Event) -> None:
        """Remember one event of the job that ``request`` started."""
        if isinstance(event, JOB_OVER):
            self.rest()
        match request, event:
            case _, Progress(logged=True):
                self.lines.append(event.stage)
            case _, Progress():
                self.progress, self.estimate = event, None
                self.pace.note(event.done, event.total or 0)
            case LoadModel(), ModelEstimated():
                self.progress, self.estimate = None, event.estimate
                self.lines.append(f"{request.model}: {estimate_line(event.estimate)}")
            case LoadModel(), ModelLoaded():
                self.rest()
                self._model = event.model
                self._told.clear()
                name = event.model.name
                self.lines += (f"{name}: {topic}: {fact}" for topic, fact in model_facts(event.model))
            case Measure(), PromptTokenized():
                self.tell_once(event.tokens.notes)
            case Measure(), MeasureEnded() if event.path == "loop":
                why = (self._model and self._model.path_reason) or _GAP
                self.tell_once([f"{method_words(request, event.path)}: {why}"])
            case _, PatchTested():
                self.lines += filter(None, (event.patch.verdict, *event.patch.notes))
            case _, QueryWritten():
                self.lines.append(f"query {event.done}/{event.total}: {event.query}")
            case _, CompileEnded():
                made = event.compilation
                lines = made.refused and f"refused: {made.refused}", made.sentence, *made.notes, *made.files
                self.lines += filter(None, lines)
            case _, ExamRowEnded() if event.row.reason:
                self.lines.append(f"{EXAM_TITLES[event.row.patch]}: {event.row.reason}")
            case _, ExamEnded():
                self.lines += event.exam.notes
            case _, CurvesEnded():
                self.lines += event.curves.notes
            case _, HeadsEnded():
                layers = (*event.heads.unreadable, *event.heads.not_linear)
                self.lines += (*event.heads.notes, *(f"layer {one.layer}: {one.reason}" for one in layers))
            case Export(), ExportEnded():
                self._tell_export(request, event)
            case CountTokens() | EstimateModel(), JobFailed():
                pass  # asked for by nobody, or reported where it was asked
            case _, JobFailed():
                self._failure = event.message
                self.lines.append(event.message)

    def _tell_export(self, request: Export, event: ExportEnded) -> None:
        # With its tables, for which the first frame need not wait.
        from icltui.report.export import export_lines

        lines = list(export_lines(request.recipe, event.report))
        self.written = f"{lines[0]}, in {request.path}; the log (8) says which patch it is"
        self.lines += lines

    def tell_once(self, lines: Sequence[str]) -> bool:
        """Log the lines that this model has not logged before; return whether there are any."""
        new = [line for line in lines if line not in self._told]
        self.lines += new
        self._told.update(new)
        return bool(new)


def estimate_line(estimate: Estimate) -> str:
    """What a model takes, in one line."""
    return (
        f"{short(estimate.n_parameters)} parameters, {in_bytes(estimate.weight_bytes)} of weights; "
        f"a measure adds up to {in_bytes(estimate.measure_bytes)}; {in_bytes(estimate.available_bytes)} are free"
    )


_GAP = "what is left of the context changes with what is missing, so each unit takes a pass of its own"
_PATHS = {
    "packed": "grow, and whatever is local · keep, takes one pass for all units; the rest one for each (loop)",
    "loop": "each unit takes a pass of its own",
}


def model_facts(model: ModelInfo) -> list[tuple[str, str]]:
    """What its check at load found: how units are measured and why, each layer that is refused and why, and notes."""
    why = f": {model.path_reason}" if model.path_reason else ""
    refused = [(f"layer {refused.layer}", f"refused: {refused.reason}") for refused in model.refused]
    numbers = [(model.dtype, model.dtype_reason)] if model.dtype_reason else []
    notes = [("model", note) for note in model.notes]
    sink = [("sink", sink_fact(model))] if model.sink else []
    return [*numbers, (model.path, f"{_PATHS[model.path]}{why}"), *sink, *refused, *notes]

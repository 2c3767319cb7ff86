"""What the events of one job add up to: a pure fold that knows of no engine, for the command line and the explorer."""

from typing import Any

import msgspec

from icltui.api.messages import (
    AdaptersJoined,
    Compile,
    CompileEnded,
    CountTokens,
    CurvesEnded,
    EffectsEnded,
    Event,
    ExamEnded,
    Examine,
    ExamRowEnded,
    ExamStarted,
    Export,
    ExportEnded,
    Generate,
    GenerateEach,
    GenerationEnded,
    HeadsEnded,
    JoinAdapters,
    LoadModel,
    Measure,
    MeasureCurves,
    MeasureEffects,
    MeasureEnded,
    MeasureHeads,
    ModelLoaded,
    PatchTested,
    PromptTokenized,
    Request,
    UnitsMeasured,
    VerificationEnded,
    Verify,
)
from icltui.values import (
    AttentionHeads,
    Compilation,
    Exam,
    ExportReport,
    Generation,
    JoinedPatch,
    LossCurves,
    Measurement,
    ModelInfo,
    PatchEffects,
    Prediction,
    Row,
    TokenizedPrompt,
    Verification,
)

_RESULTS: dict[type, str] = {
    LoadModel: "model",
    CountTokens: "tokens",
    Measure: "measurement",
    Generate: "generation",
    GenerateEach: "generations",
    Verify: "verification",
    MeasureCurves: "curves",
    MeasureHeads: "heads",
    MeasureEffects: "effects",
    Export: "export",
    Examine: "exam",
    Compile: "compilation",
    JoinAdapters: "joined",
}
"""Where the result of a request is."""


class Collected:
    """What a job has given so far.

    Args:
        request: the job's; a measurement says how it was asked for.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.model: ModelInfo | None = None
        self.tokens: TokenizedPrompt | None = None
        self.measurement: Measurement | None = None
        """The measurement, once every unit has been measured."""
        self.generations: list[Generation] = []
        """One generation for each query, with the report on its patch once that has been tested."""
        self.verification: Verification | None = None
        self.curves: LossCurves | None = None
        self.heads: AttentionHeads | None = None
        self.effects: PatchEffects | None = None
        self.export: ExportReport | None = None
        self.exam: Exam | None = None
        """The exam so far, with the rows that have ended."""
        self.compilation: Compilation | None = None
        self.joined: JoinedPatch | None = None
        self._rows: list[Row] = []
        self._predictions: dict[int, Prediction] = {}
        """The last prediction of each unit: one may come again, its divergence from the full context then known."""

    @property
    def generation(self) -> Generation | None:
        """The last of the generations."""
        return self.generations[-1] if self.generations else None

    @property
    def result(self) -> Any:
        """What the request asked for; None or empty until it is there, and of an exam the rows so far."""
        name = _RESULTS.get(type(self.request))
        return name and getattr(self, name)

    def take(self, event: Event) -> None:
        """Add the job's next event."""
        match event:
            case ModelLoaded():
                self.model = event.model
            case PromptTokenized():
                self.tokens = event.tokens
            case UnitsMeasured():
                self._rows += event.rows
                self._predictions |= {prediction.unit: prediction for prediction in event.predictions}
            case MeasureEnded():
                self.measurement = self._whole_measurement(event)
            case GenerationEnded():
                self.generations.append(event.generation)
            case PatchTested() if self.generations:
                self.generations[-1] = msgspec.structs.replace(self.generations[-1], patch=event.patch)
            case VerificationEnded():
                self.verification = event.verification
            case CurvesEnded():
                self.curves = event.curves
            case HeadsEnded():
                self.heads = event.heads
            case EffectsEnded():
                self.effects = event.effects
            case ExportEnded():
                self.export = event.report
            case ExamStarted() | ExamEnded():
                self.exam = event.exam
            case ExamRowEnded() if self.exam:
                self.exam = msgspec.structs.replace(self.exam, rows=(*self.exam.rows, event.row))
            case CompileEnded():
                self.compilation = event.compilation
            case AdaptersJoined():
                self.joined = event.joined

    def _whole_measurement(self, ended: MeasureEnded) -> Measurement | None:
        if self.tokens is None or not isinstance(self.request, Measure):
            return None
        return Measurement(
            tokens=self.tokens,
            layers=ended.layers,
            rows=tuple(self._rows),
            predictions=tuple(self._predictions.values()),
            path=ended.path,
            seconds=ended.seconds,
            dynamics=self.request.dynamics,
            reference=self.request.reference,
            precision=self.request.precision,
            pairs=ended.pairs,
        )

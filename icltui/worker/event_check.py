"""Checks that a peer's events fit together, so that no view need expect a layer that the model does not have.

Events enter in the order in which they arrive; one that does not fit raises :class:`~icltui.values.errors.EngineError`.
"""

from collections.abc import Iterable

from icltui.api.messages import (
    ChoiceAdvanced,
    CompileEnded,
    Event,
    ExamEnded,
    ExamStarted,
    GenerationEnded,
    MeasureEnded,
    ModelLoaded,
    PromptTokenized,
    UnitsMeasured,
    VerificationEnded,
)
from icltui.values import Exam
from icltui.values.bounds import LAYERS
from icltui.values.errors import EngineError


class EventChecker:
    """Holds a peer's events against the sizes that it gave: of its model, and of the prompt tokenised last."""

    def __init__(self) -> None:
        self._n_layers, self._n_units = LAYERS, 0

    def check(self, event: Event) -> None:
        """Remember a size, or hold ``event`` against those that are known.

        Raises:
            EngineError: a unit or a layer is out of range.
        """
        match event:
            case ModelLoaded(model=model):
                if not model.n_layers:
                    raise EngineError("the engine names a model without layers")
                self._n_layers = model.n_layers
                self._check_layers(refused.layer for refused in model.refused)
            case PromptTokenized(tokens=tokens):
                self._n_units = len(tokens.units)
                if [unit.index for unit in tokens.units] != list(range(1, self._n_units + 1)):
                    raise EngineError("the engine's units are not numbered 1, 2, 3, …")
            case UnitsMeasured(rows=rows, predictions=predictions):
                self._check_layers(row.layer for row in rows)
                self._check_units(row.unit for row in rows)
                self._check_units(prediction.unit for prediction in predictions)
            case MeasureEnded(layers=layers):
                self._check_layers(layers)
            case GenerationEnded(generation=generation):
                self._check_layers(generation.layers)
            case VerificationEnded(verification=verification):
                self._check_layers(check.layer for check in verification.layers)
            case ExamStarted(exam=exam) | ExamEnded(exam=exam):
                self._check_layers(exam.layers)
                _check_answers(exam)
            case ChoiceAdvanced(point=point):
                self._check_layers(point.layers)
            case CompileEnded(compilation=compilation):
                self._check_layers(compilation.chosen.layers)
                for point in compilation.leave_one_out.curve:
                    self._check_layers(point.layers)

    def _check_layers(self, layers: Iterable[int]) -> None:
        if (layer := max(layers, default=0)) >= self._n_layers:
            raise EngineError(f"the engine names layer {layer} of a model of {self._n_layers}")

    def _check_units(self, units: Iterable[int]) -> None:
        if (unit := max(units, default=0)) > self._n_units:
            raise EngineError(f"the engine names unit {unit} of {self._n_units}")


def _check_answers(exam: Exam) -> None:
    for row in exam.rows:
        if row.queries and len(row.queries) != len(exam.queries):
            raise EngineError(
                f"the engine's exam has {len(row.queries)} answers to {len(exam.queries)} queries"
            )

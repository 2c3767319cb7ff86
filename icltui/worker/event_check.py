"""Checks that a peer's events fit together, so that no view need expect a layer that the model does not have.

Events enter in the order in which they arrive; one that does not fit raises :class:`~icltui.values.errors.EngineError`.
"""

from collections.abc import Iterable

from icltui.api.messages import (
    ChoiceAdvanced,
    CompileEnded,
    CurvesEnded,
    EffectsEnded,
    EffectsMeasured,
    Event,
    ExamEnded,
    ExamStarted,
    GenerationEnded,
    HeadsEnded,
    MeasureEnded,
    ModelLoaded,
    PromptTokenized,
    UnitsMeasured,
    VerificationEnded,
)
from icltui.values import Exam, LossCurves, UnitEffects
from icltui.values.bounds import LAYERS
from icltui.values.errors import EngineError

_BY_POSITION = (
    "loss",
    "loss_without",
    "smooth",
    "smooth_without",
    "derivative",
    "derivative_low",
    "derivative_high",
)
"""The numbers of loss curves that there is one of for each position."""


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
            case CurvesEnded(curves=curves):
                _check_curves(curves)
            case HeadsEnded(heads=heads):
                self._check_layers(score.layer for score in heads.heads)
                self._check_layers(head.layer for head in (*heads.induction_heads, *heads.previous_heads))
                self._check_layers(part.layer for part in heads.contributions)
                self._check_layers(layer.layer for layer in (*heads.unreadable, *heads.not_linear))
            case EffectsMeasured(layers=layers, units=units):
                self._check_effects(layers, units)
            case EffectsEnded(effects=effects):
                self._check_effects(effects.layers, effects.units)
                if (n := len(effects.random)) not in (0, len(effects.layers)):
                    raise EngineError(
                        f"the engine's effects have {n} controls for {len(effects.layers)} layers"
                    )
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

    def _check_effects(self, layers: tuple[int, ...], units: tuple[UnitEffects, ...]) -> None:
        self._check_layers(layers)
        self._check_units(of.unit for of in units)
        if wrong := next((of for of in units if len(of.kl) != len(layers)), None):
            raise EngineError(f"the engine's effects have {len(wrong.kl)} numbers for {len(layers)} layers")

    def _check_units(self, units: Iterable[int]) -> None:
        if (unit := max(units, default=0)) > self._n_units:
            raise EngineError(f"the engine names unit {unit} of {self._n_units}")


def _check_curves(curves: LossCurves) -> None:
    n_positions = len(curves.tokens.context) + len(curves.tokens.query)
    for name in _BY_POSITION:
        if (n := len(getattr(curves, name))) != n_positions:
            raise EngineError(f"the engine's {name} has {n} numbers for {n_positions} positions")


def _check_answers(exam: Exam) -> None:
    for row in exam.rows:
        if row.queries and len(row.queries) != len(exam.queries):
            raise EngineError(
                f"the engine's exam has {len(row.queries)} answers to {len(exam.queries)} queries"
            )

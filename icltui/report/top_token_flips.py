"""Where the answer flips: the units at which the most probable next token becomes another one."""

from collections.abc import Callable
from dataclasses import dataclass

from icltui.values import Candidate, Dynamics, Measurement, Prediction


@dataclass(frozen=True)
class Flip:
    """A unit at which the most probable next token became another."""

    unit: int
    before: Candidate
    after: Candidate


def flip_at(predicted: Callable[[int], Prediction | None], unit: int, dynamics: Dynamics) -> Flip | None:
    """The flip at ``unit``, ``predicted`` giving each unit's prediction; None where the token stays, or is not known.

    A unit is held against the one before; under *drop* against the full context, which is unit 0.
    """
    before, after = predicted(0 if dynamics == "drop" else unit - 1), predicted(unit)
    if not (before and after and before.top and after.top):
        return None
    old, new = before.top[0], after.top[0]
    return Flip(unit, old, new) if old.token.id != new.token.id else None


def flips(measurement: Measurement) -> list[Flip]:
    """Every flip of a measurement, by unit."""
    predictions = {prediction.unit: prediction for prediction in measurement.predictions}
    found = (flip_at(predictions.get, unit, measurement.dynamics) for unit in sorted(predictions))
    return [flip for flip in found if flip]

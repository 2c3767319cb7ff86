"""What the context's own text may be coloured by: one number for each unit, at one layer or after all of them.

A measurement enters; numbers, what they mean, and what is missing where there are none leave.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from icltui.report.measures import MEASURES
from icltui.tui.state.measurement_so_far import MeasuredUnits
from icltui.tui.state.shade_bounds import Bounds, shade_bounds
from icltui.values import Dynamics

_KL: dict[Dynamics, str] = {
    "grow": "KL(full context ‖ up to this unit) of the next token, in nats",
    "shrink": "KL(full context ‖ what is left) of the next token, in nats",
    "drop": "KL(full context ‖ without this unit) of the next token, in nats",
}
_KL_STEP: dict[Dynamics, str] = {
    "grow": "how far this unit changed that KL: |KL_i − KL_{i−1}|",
    "shrink": "how far its removal changed that KL: |KL_i − KL_{i−1}|",
    "drop": "how far leaving it out changed that KL, which is 0 with all units",
}


@dataclass(frozen=True)
class Coloring:
    """A number for each unit, by which the text is coloured."""

    name: str
    title: str
    log: bool
    """Whether a log scale makes sense."""
    is_by_layer: bool
    value: Callable[[MeasuredUnits, int, int], float | None]
    """The number of a unit at a layer."""
    meaning: Callable[[MeasuredUnits], str]
    """Meaning in words; empty where the measurement has no such number."""
    need: Callable[[MeasuredUnits], str]
    """Why the measurement has no such number and how to get it; empty where it has."""

    def bounds(self, measured: MeasuredUnits, layer: int, *, positive: bool) -> Bounds | None:
        """The ends of the ramp for the finite numbers; for the positive ones, if a log scale asks."""
        found = (self.value(measured, unit, layer) for unit in measured.units)
        values = (v for v in found if v is not None and math.isfinite(v) and (v > 0 or not positive))
        return shade_bounds(sorted(values))


@cache
def measure_coloring(name: str) -> Coloring:
    """Units coloured by a measure."""
    measure = MEASURES[name]
    return Coloring(
        name=name,
        title=measure.symbol,
        log=measure.log,
        is_by_layer=True,
        value=lambda measured, unit, layer: measured.value(name, unit, layer),
        meaning=lambda measured: measure.meaning(measured.dynamics)[0],
        need=lambda _measured: "",
    )


def _drop(measured: MeasuredUnits, unit: int, layer: int) -> float | None:
    return measured.value("delta_norm", unit, layer) if measured.dynamics == "drop" else None


def _kl(measured: MeasuredUnits, unit: int, _layer: int) -> float | None:
    prediction = measured.prediction(unit)
    return prediction.kl_to_full if prediction else None


def _kl_step(measured: MeasuredUnits, unit: int, layer: int) -> float | None:
    """The change of KL; under *drop* against the full context, which is unit 0."""
    if unit == 0:
        return None
    base = 0 if measured.dynamics == "drop" else unit - 1
    before, after = _kl(measured, base, layer), _kl(measured, unit, layer)
    return None if before is None or after is None else abs(after - before)


def _need_predictions(measured: MeasuredUnits) -> str:
    return (
        "this run recorded no next tokens, which would cost a pass for each unit" if measured.is_mute else ""
    )


def _need_drop(measured: MeasuredUnits) -> str:
    dynamics = measured.dynamics
    return "" if dynamics == "drop" else f"these numbers are {dynamics}: press D until drop, then ^r"


_DELTA = measure_coloring("delta_norm")
_ALL = (
    _DELTA,
    measure_coloring("relative_patch_norm"),
    measure_coloring("learning_rate"),
    replace(_DELTA, name="drop_one", title="drop-one", value=_drop, need=_need_drop),
    Coloring("kl", "KL", True, False, _kl, lambda measured: _KL[measured.dynamics], _need_predictions),
    Coloring("kl_step", "|ΔKL|", True, False, _kl_step, lambda m: _KL_STEP[m.dynamics], _need_predictions),
)

COLORINGS: dict[str, Coloring] = {coloring.name: coloring for coloring in _ALL}
"""Every colouring by name, in the order in which a key cycles through them."""

"""How far a recomputed number may differ from the saved one where no result has changed.

Enters: the record as it was saved, and the coarser dtype of both runs. Leaves: for each of its numbers a largest
difference, the sum of

* a share of the field's scale, the largest magnitude among the field's saved numbers. In float32 it is 1e-3, about what
  the tables show; other kernels, another order of summation and other packages move the fields of a model of this
  kind by 1e-5 at most. In bfloat16 they move by some hundredths, hence 0.1.
* a floor for what is rounding noise itself where all is well (the errors of a proof, logits and divergences of a patch
  that is exact), so that nothing is asked of the digits of 1e-12. It is as low as the proof's own tolerance.
* for directions (cosines and what else compares two δ), the noise of δ against its length, ε‖z‖/‖δ‖: a unit that does
  not move z beyond rounding has none. The engine leaves such ones out; near that limit, whether it did is not asked.
* for a patch that is fitted on many tokens, and for what it does, that share enlarged by ε√κ, at most to a tenth: κ is
  the condition number of K = ZᵀZ, so that √κ is how much the fit enlarges the noise of Z. The condition number itself
  is known to its own ε√κ.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from icltui.values import Generation, Measurement, ModelInfo, PatchReport, Record, Row


@dataclass(frozen=True)
class DtypeTolerance:
    """The tolerances of one dtype."""

    relative: float
    """Share of a field's scale."""
    state: float
    """ε: noise of a state, such as z, as a share of its length."""
    error: float
    """Floor of relative errors, and of cosines with what is nearly 1 or nearly 0."""
    logit: float
    """Floor of differences of logits, which are of the order of 10."""
    square: float
    """Floor of divergences in nats and of mean squares."""


_SINGLE = DtypeTolerance(relative=1e-3, state=1e-5, error=1e-4, logit=1e-3, square=1e-5)
DTYPE_TOLERANCES: dict[str, DtypeTolerance] = {
    "float64": _SINGLE,  # Hugging Face's norms compute in float32 inside
    "float32": _SINGLE,
    "float16": DtypeTolerance(relative=2e-2, state=1.5e-2, error=1e-2, logit=1e-1, square=1e-3),
    "bfloat16": DtypeTolerance(relative=1e-1, state=1.25e-1, error=5e-2, logit=5e-1, square=1e-2),
}
COARSEST = "bfloat16"

Noise = Callable[..., float]
"""From the indices in a number's path to what noise may do to it, as a share of the field's scale."""

_FLOORS: dict[str, str] = {
    **dict.fromkeys(("identity_error", "block_error", "mlp_error", "error", "shift_error"), "error"),
    **dict.fromkeys(
        ("patched_share", "noise_share", "floor", "effect", "state_error", "cosine", "gradient_alignment"),
        "error",
    ),
    **dict.fromkeys(("r", "r_median", "r_mean"), "error"),
    **dict.fromkeys(("linf", "noise_floor"), "logit"),
    **dict.fromkeys(("kl", "kl_plain", "kl_to_context", "kl_to_full", "kl_others"), "square"),
    **dict.fromkeys(("mse", "mse_plain", "nmse"), "square"),
}
_DIRECTIONS = ("cosine_previous", "update_cosine_previous", "transfer_previous", "amplification")
_OF_THE_PATCH = ("generation.patch", "generation.lanes.patched", "generation.fit.patched")
_INDEX = re.compile(r"\[(\d+)\]")
_MOST = 2.0
"""The largest change that noise makes: it reverses a direction."""
_MOST_OF_A_FIT = 0.1
_HIDDEN = 0.5
"""From here on rounding alone may turn a direction into another one."""


def coarser_dtype(saved: ModelInfo, now: ModelInfo) -> str:
    """The dtype whose rounding counts; weights that are quantized in another way count as the coarsest."""
    if saved.quantize != now.quantize:
        return COARSEST
    known = (model.dtype if model.dtype in DTYPE_TOLERANCES else COARSEST for model in (saved, now))
    return max(known, key=lambda dtype: DTYPE_TOLERANCES[dtype].relative)


class Tolerances:
    """The largest differences that are allowed between ``saved`` and the record that is computed again."""

    def __init__(self, saved: Record, dtype: str) -> None:
        self.rounding = DTYPE_TOLERANCES[dtype]
        self.noise: dict[str, Noise] = {}
        self.fit = 0.0
        if isinstance(saved, Measurement):
            self.noise = _noise_of_directions(saved, self.rounding.state)
        elif isinstance(saved, Generation) and saved.patch is not None:
            conditions = _noise_of_conditions(saved.patch, self.rounding.state)
            self.noise = {field: noise.__getitem__ for field, noise in conditions.items()}
            self.fit = min(_MOST_OF_A_FIT, max((0.0, *chain(*conditions.values()))))

    def allowed(self, at: str, field: str, scale: float) -> float:
        """The largest difference allowed at the path ``at`` of a field of that scale."""
        floor = _FLOORS.get(field.rpartition(".")[2].rstrip("[]"))
        share = self.rounding.relative + self._noise(at, field)
        if field.startswith(_OF_THE_PATCH):
            share += self.fit
        return share * scale + (getattr(self.rounding, floor) if floor else 0.0)

    def allowed_share(self, field: str) -> float:
        """How much of itself a probability may lose or win: as much as its logit may move."""
        return self.rounding.logit + (self.fit if field.startswith(_OF_THE_PATCH) else 0.0)

    def is_noise(self, at: str, field: str) -> bool:
        """Whether noise alone decides the number, and whether there is one."""
        return self._noise(at, field) >= _HIDDEN

    def _noise(self, at: str, field: str) -> float:
        return self.noise[field](*map(int, _INDEX.findall(at))) if field in self.noise else 0.0


def _noise_of_directions(measured: Measurement, state: float) -> dict[str, Noise]:
    """ε‖z‖/‖δ‖ wherever directions are compared, the larger of the two that are."""
    alone = {(row.layer, row.unit): _noise(row, state) for row in measured.rows}
    of_row = [max(alone[r.layer, r.unit], alone.get((r.layer, r.unit - 1), 0.0)) for r in measured.rows]
    layers = [pairs.layer for pairs in measured.pairs]

    def of_pair(index: int, s: int, t: int) -> float:
        return max(alone.get((layers[index], unit + 1), 0.0) for unit in (s, t))

    return {
        **{f"measurement.rows[].{name}": of_row.__getitem__ for name in _DIRECTIONS},
        **{f"measurement.pairs[].{name}[][]": of_pair for name in ("cosine", "transfer")},
    }


def _noise_of_conditions(patch: PatchReport, state: float) -> dict[str, list[float]]:
    """ε√κ of each condition number, layer by layer; 1 where it is too large to be known. At most 1."""

    def noise(condition: float | None, rank: int | None) -> float:
        if rank is None:  # there is no such part
            return 0.0
        return 1.0 if condition is None else min(1.0, state * math.sqrt(abs(condition)))

    return {
        "generation.patch.layers[].condition": [noise(fit.condition, fit.rank) for fit in patch.layers],
        "generation.patch.layers[].shift_condition": [
            noise(fit.shift_condition, fit.shift_rank) for fit in patch.layers
        ],
    }


def _noise(row: Row, state: float) -> float:
    if row.z_norm is None or row.delta_norm is None:
        return 0.0
    return min(_MOST, state * abs(row.z_norm / row.delta_norm)) if row.delta_norm else _MOST

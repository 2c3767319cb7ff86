"""The verdict of a verification: whether all holds, and a caveat where the answer is not a plain yes.

Enters: what was measured. Leaves: a :class:`Verdict`. The rule, for errors as shares of what they are errors of:

* an error is at most :func:`allowed_error`: twice what rounding makes of right runs, and no more than the tolerance of
  the model's dtype. At each layer these are the errors of ΔW z, of the MLP's output and of the block's; where the last
  layer is patched also the logits', as a share of the largest contextual one;
* ΔW has rank 1 or 0, and the logits after the patch is removed are bit for bit those before;
* the context does more than rounding may, twice of what it makes of right runs: to the logits where the last layer is
  patched, and to the output of at least one patched block. Else an empty patch might pass too, and nothing is proved.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from icltui.engine.patch.exactness_at_load import TOLERANCES
from icltui.values import ErrorLimits, LayerCheck, LogitError

NOISES = 2
"""Number of floors by which a right patch may miss: two right runs differ by one, and the patch is a third."""
_FINEST = min(TOLERANCES.values())
_CHECKS = {"identity": "ΔW z misses", "block": "the block misses", "mlp": "the MLP misses"}


def allowed_error(floor: float, resolution: float, tolerance: float) -> float:
    """The most that an error may be; ``floor``: of right runs, ``resolution``: of the arithmetic itself."""
    return min(tolerance, NOISES * max(floor, resolution))


@dataclass(frozen=True)
class Verdict:
    """The errors that decide: L∞ as shares of the largest contextual logit, infinite where not finite."""

    error: float
    """The error of the patched logits."""
    effect: float
    """The error of the logits without a patch: the context's effect."""
    noise: float
    resolution: float
    tolerance: float
    faults: tuple[str, ...]
    """Faults besides the logits'; the first is reported."""
    reaches: bool
    """Whether the last layer is patched; otherwise the patch cannot fix the logits."""
    advice: str
    """What would leave less to rounding."""

    @property
    def allowed(self) -> float:
        """The largest error allowed of the patched logits."""
        return allowed_error(self.noise, self.resolution, self.tolerance)

    @property
    def explained(self) -> float:
        """What rounding may do to the logits, however much that is."""
        return NOISES * max(self.noise, self.resolution)

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return not self._fault

    @property
    def caveat(self) -> str:
        """Why a check fails, or the precision of a yes; empty where the answer is a plain yes."""
        if self._fault or not self.reaches or self.noise <= self.tolerance:
            return self._fault
        return (
            f"to within {self.allowed:.1e} of the largest logit, while rounding alone moves the logits by "
            f"{self.noise:.1e} of it: try {self.advice}"
        )

    @property
    def _fault(self) -> str:
        if self.faults:
            return self.faults[0]
        if not self.reaches:
            return ""
        if not self.error <= self.allowed:
            return (
                f"the patched logits miss by {self.error:.1e} of the largest one: rounding makes {self.noise:.1e}, and "
                f"{self.allowed:.1e} is allowed"
            )
        if 0 < self.effect <= self.explained:
            return (
                f"nothing is proved, as rounding may move the logits by {self.explained:.1e} of the largest one and "
                f"the context moves them by {self.effect:.1e}: try {self.advice}"
            )
        return ""


def judge(
    layers: Sequence[LayerCheck],
    logits: dict[str, LogitError],
    noise_floor: float,
    scale: float,
    resolution: float,
    tolerance: float,
    *,
    undone: bool,
    reaches: bool,
) -> Verdict:
    """The verdict; ``noise_floor`` in logits, ``scale`` the largest contextual one, the other two are shares."""

    def share(linf: float | None) -> float:
        return math.inf if linf is None or not scale > 0 else linf / scale

    faults = [*_faults(layers)]
    faults += [] if undone else ["the logits after the patch is removed are not bit for bit those before it"]
    advice = ("" if tolerance <= _FINEST else "--dtype float32, or ") + "a context that says more"
    faults += _nothing(layers, advice)
    return Verdict(
        error=share(logits["patched"].linf),
        effect=share(logits["plain"].linf),
        noise=share(noise_floor),
        resolution=resolution,
        tolerance=tolerance,
        faults=tuple(faults),
        reaches=reaches,
        advice=advice,
    )


def _faults(layers: Sequence[LayerCheck]) -> Iterator[str]:
    for check in layers:
        for name, what in _CHECKS.items():
            error, limits = getattr(check, f"{name}_error"), check.limits[name]
            if error is None or not error <= limits.allowed:
                size, floor = (f"{x:.1e}" if x is not None else "no number" for x in (error, limits.floor))
                allowed = f"rounding makes {floor}, and {limits.allowed:.1e} is allowed"
                yield f"at layer {check.layer} {what} by {size}: {allowed}"
        if check.rank is None or check.rank > 1:
            yield f"at layer {check.layer} ΔW has rank {check.rank}, and 1 is the most"


def _nothing(layers: Sequence[LayerCheck], advice: str) -> Iterator[str]:
    """A fault where rounding may do as much to every block as the context does, unless that is nothing at all."""
    effects = {check.layer: check.limits["block"].effect or 0.0 for check in layers}
    may = {check.layer: _may(check.limits["block"]) for check in layers}
    if any(effects.values()) and all(effects[layer] <= may[layer] for layer in effects):
        most = max(effects, key=effects.__getitem__)
        yield (
            f"nothing is proved, as rounding may move the block's output at layer {most} by {may[most]:.1e} and the "
            f"context moves it by {effects[most]:.1e}: try {advice}"
        )


def _may(limits: ErrorLimits) -> float:
    """What rounding may do, however much that is."""
    return max(limits.allowed or 0.0, NOISES * (limits.floor or 0.0))

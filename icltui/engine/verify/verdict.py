"""The verdict of a verification: whether all holds, and a caveat where the answer is not a plain yes.

Enters: what was measured. Leaves: a :class:`Verdict`. The rule, for errors as shares of what they are errors of:

* each layer's identity, block and MLP error is at most the tolerance of the model's dtype, and ΔW has rank 1 or 0;
* where the last layer is patched, the patched logits miss the contextual ones by at most ``allowed``, a share of the
  largest contextual logit: the tolerance, or twice the noise floor where that is more, as two right ways may differ by
  the noise floor and the patch is a third;
* the logits after the patch is removed are bit for bit those before;
* where the noise floor is more than the tolerance, the context moves the logits by more than ``allowed``: else an
  empty patch would pass too, and nothing is proved.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from icltui.values import LayerCheck, LogitError

NOISES = 2
"""Number of noise floors by which a right patch may miss."""


@dataclass(frozen=True)
class Verdict:
    """The errors that decide: L∞ as shares of the largest contextual logit, infinite where not finite."""

    error: float
    """The error of the patched logits."""
    effect: float
    """The error of the logits without a patch: the context's effect."""
    noise: float
    tolerance: float
    faults: tuple[str, ...]
    """Faults besides the logits'; the first is reported."""
    reaches: bool
    """Whether the last layer is patched; otherwise the patch cannot fix the logits."""

    @property
    def allowed(self) -> float:
        """The largest error allowed of the patched logits."""
        return max(self.tolerance, NOISES * self.noise)

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
            f"to within {self.allowed:.1e} of the largest logit only: rounding alone moves the logits by "
            f"{self.noise:.1e} of it, more than the tolerance of {self.tolerance:.1e}: try --dtype float32"
        )

    @property
    def _fault(self) -> str:
        if self.faults:
            return self.faults[0]
        if not self.reaches:
            return ""
        if not self.error <= self.allowed:
            return f"the patched logits miss by {self.error:.1e} of the largest one, {self.allowed:.1e} is allowed"
        if self.noise > self.tolerance and not self.effect > self.allowed:
            return (
                f"nothing is proved, as rounding alone moves the logits by {self.noise:.1e} of the largest one and "
                f"the context by {self.effect:.1e}: try --dtype float32"
            )
        return ""


def judge(
    layers: Sequence[LayerCheck],
    logits: dict[str, LogitError],
    noise_floor: float,
    scale: float,
    tolerance: float,
    *,
    undone: bool,
    reaches: bool,
) -> Verdict:
    """The verdict; ``noise_floor`` in logits, ``scale`` the largest contextual one, ``tolerance`` a share."""

    def share(linf: float | None) -> float:
        return math.inf if linf is None or not scale > 0 else linf / scale

    faults = [*_faults(layers, tolerance)]
    faults += [] if undone else ["the logits after the patch is removed are not bit for bit those before it"]
    return Verdict(
        error=share(logits["patched"].linf),
        effect=share(logits["plain"].linf),
        noise=share(noise_floor),
        tolerance=tolerance,
        faults=tuple(faults),
        reaches=reaches,
    )


def _faults(layers: Sequence[LayerCheck], tolerance: float) -> Iterator[str]:
    for check in layers:
        errors = {
            "ΔW z misses": check.identity_error,
            "the block misses": check.block_error,
            "the MLP misses": check.mlp_error,
        }
        for what, error in errors.items():
            if error is None or not error <= tolerance:
                size = "no number" if error is None else f"{error:.1e}"
                yield f"at layer {check.layer} {what} by {size}, {tolerance:.1e} is allowed"
        if check.rank is None or check.rank > 1:
            yield f"at layer {check.layer} ΔW has rank {check.rank}, and 1 is the most"

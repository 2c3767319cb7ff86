"""The measures that the explorer can show: their names, what they mean under each dynamics, and their scale.

Symbols are those of :class:`icltui.values.Row`: A_i is the MLP's input behind i units (*grow*) or with the first i
taken away (*shrink*); *drop* compares A, the full context's, with A_without, where one unit alone is missing. v and g,
the down projection's input, are indexed alike; u is what an update adds where it acts in full.
"""

from dataclasses import dataclass

from icltui.values import Dynamics

Meaning = tuple[str, str]
"""What a number is: in words, and as a formula."""


@dataclass(frozen=True)
class Measure:
    """One number per unit and layer."""

    name: str
    """The field of :class:`icltui.values.Row` that holds it."""
    title: str
    """Its symbol, at most nine cells wide."""
    log: bool
    """Whether a log scale makes sense: the number is never negative."""
    grow: Meaning
    shrink: Meaning | None = None
    """Where it differs from *grow*."""
    drop: Meaning | None = None
    """The same; two empty texts where there is no such number."""

    def meaning(self, dynamics: Dynamics) -> Meaning:
        """In words and as a formula."""
        others = {"shrink": self.shrink, "drop": self.drop}
        return others.get(dynamics) or self.grow

    def is_defined(self, dynamics: Dynamics) -> bool:
        """Whether there is such a number at all."""
        return any(self.meaning(dynamics))


_NONE: Meaning = ("", "")
_DOWN = "the residual shift as a patch of the down projection"
_STEP = "half the square of what the step adds at its input"
_COSINE = "cosine of its update and the one before"
_TRANSFER = "what the update before leaves undone of this one; 0: nothing"

_ALL = (
    Measure(
        "delta_norm",
        "‖δ‖",
        True,
        ("how far this unit moved the MLP's input", "‖A_i − A_{i−1}‖"),
        ("how far its removal moved the MLP's input", "‖A_i − A_{i−1}‖"),
        ("how much it alone moves the MLP's input", "‖A − A_without‖"),
    ),
    Measure(
        "patch_norm",
        "‖ΔW‖",
        True,
        ("how far this unit moved the weights", "‖W_0 δ_i‖ / ‖A_0‖"),
        ("how far its removal moved the weights", "‖W_{i−1} δ_i‖ / ‖A_i‖"),
        ("the change of weights that stands for it", "‖W δ‖ / ‖A_without‖"),
    ),
    Measure("relative_patch_norm", "‖ΔW‖/‖W‖", True, ("‖ΔW‖ as a share of the weights", "‖ΔW‖ / ‖W‖")),
    Measure(
        "cumulative_patch_norm",
        "Σ‖ΔW‖",
        True,
        ("the length of the way so far", "Σ_{j≤i} ‖W_j − W_{j−1}‖"),
        drop=_NONE,
    ),
    Measure(
        "net_patch_norm",
        "net ‖ΔW‖",
        True,
        ("how far the weights are from the start", "‖W_i − W_0‖"),
        drop=_NONE,
    ),
    Measure(
        "learning_rate",
        "h",
        True,
        ("implicit learning rate, nearly flat under RMSNorm", "1/‖A_i‖²"),
        drop=("implicit learning rate, nearly flat under RMSNorm", "1/‖A_without‖²"),
    ),
    Measure(
        "shift_norm",
        "‖δv‖",
        True,
        ("how far this unit moved the residual stream", "‖v_i − v_{i−1}‖"),
        ("how far its removal moved the residual stream", "‖v_i − v_{i−1}‖"),
        ("how much it alone moves the residual stream", "‖v − v_without‖"),
    ),
    Measure(
        "z_norm",
        "‖z‖",
        True,
        ("size of the MLP's input behind the units so far", "‖A_i‖"),
        ("size of the MLP's input behind the units left", "‖A_i‖"),
        ("size of the MLP's input without this unit", "‖A_without‖"),
    ),
    Measure(
        "cosine_previous",
        "cos",
        False,
        ("whether it pushed the way the unit before did", "cos(δ_i, δ_{i−1})"),
    ),
    Measure(
        "output_patch_norm",
        "‖ΔW_down‖",
        True,
        (_DOWN, "‖v_i − v_{i−1}‖ / ‖g_i‖"),
        (_DOWN, "‖v_i − v_{i−1}‖ / ‖g_0‖"),
        (_DOWN, "‖v − v_without‖ / ‖g‖"),
    ),
    Measure(
        "amplification",
        "amplify",
        True,
        ("how strongly W answers δ; 1: as a random direction", "(‖W_0 δ_i‖/‖δ_i‖) / (‖W_0‖/√d)"),
        ("how strongly W answers δ; 1: as a random direction", "(‖W_{i−1} δ_i‖/‖δ_i‖) / (‖W_0‖/√d)"),
        ("how strongly W answers δ; 1: as a random direction", "(‖W δ‖/‖δ‖) / (‖W‖/√d)"),
    ),
    Measure(
        "implicit_loss",
        "L",
        False,
        ("implicit loss; depends on where W is counted from", "−(p_i − p_{i−1})·p_{i−1}, p = W_0 A"),
        _NONE,
        _NONE,
    ),
    Measure(
        "half_step_square",
        "Q",
        True,
        ("half the square of the step in p = W_0 A", "½‖p_i − p_{i−1}‖² = ½‖W_0 δ_i‖²"),
        (_STEP, "½‖W_{i−1} δ_i‖²"),
        (_STEP, "½‖W δ‖²"),
    ),
    Measure(
        "update_cosine_previous",
        "cos ΔW",
        False,
        (f"{_COSINE}; u = W_0 δ", "cos(u_i, u_{i−1})"),
        (f"{_COSINE}; u_i = W_{{i−1}} δ_i", "cos(u_i, u_{i−1})·cos(A_i, A_{i−1})"),
        (f"{_COSINE}; u = W δ, z = A_without", "cos(u_i, u_{i−1})·cos(z_i, z_{i−1})"),
    ),
    Measure(
        "transfer_previous",
        "transfer",
        True,
        (_TRANSFER, "‖u_i − u_{i−1}‖ / ‖u_i‖"),
        (_TRANSFER, "‖u_i − u_{i−1} (A_{i−1}·A_i)/‖A_{i−1}‖²‖ / ‖u_i‖"),
        (_TRANSFER, "‖u_i − u_{i−1} (z_{i−1}·z_i)/‖z_{i−1}‖²‖ / ‖u_i‖"),
    ),
)

MEASURES: dict[str, Measure] = {measure.name: measure for measure in _ALL}
"""Every measure by name, in the order in which a key cycles through them."""

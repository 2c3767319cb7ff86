"""The measures that the explorer can show: their names, their formulas, and whether a log scale suits them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One number per unit and layer."""

    name: str
    """The field of :class:`icltui.record.Row` that holds it."""
    title: str
    """Its symbol, at most nine cells wide."""
    formula: str
    """What it is, in one line."""
    log: bool
    """Whether a log scale makes sense: the number is never negative."""


_ALL = (
    Measure("delta_norm", "‖δ‖", "how far this unit moved the MLP's input: ‖A_i − A_{i−1}‖", True),
    Measure("patch_norm", "‖ΔW‖", "how far this unit moved the weights: ‖W_i − W_{i−1}‖ = ‖W δ‖ / ‖a‖", True),
    Measure(
        "relative_patch_norm", "‖ΔW‖/‖W‖", "the same as a share of the weights: ‖W_i − W_{i−1}‖ / ‖W‖", True
    ),
    Measure("cumulative_patch_norm", "Σ‖ΔW‖", "the length of the way so far: Σ_{j≤i} ‖W_j − W_{j−1}‖", True),
    Measure("net_patch_norm", "net ‖ΔW‖", "how far the weights are from where they began: ‖W_i − W_0‖", True),
    Measure(
        "learning_rate", "h", "the implicit learning rate: h = 1/‖A_i‖²; nearly flat under RMSNorm", True
    ),
    Measure("shift_norm", "‖δv‖", "how far this unit moved the residual stream: ‖v_i − v_{i−1}‖", True),
    Measure("z_norm", "‖z‖", "the size of the MLP's input after this unit: ‖A_i‖", True),
    Measure(
        "cosine_previous", "cos", "whether this unit pushed on the way of the last: cos(δ_i, δ_{i−1})", False
    ),
)

MEASURES: dict[str, Measure] = {measure.name: measure for measure in _ALL}
"""Every measure by name, in the order in which a key cycles through them."""

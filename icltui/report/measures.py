"""The registry of measures: what each number is called, how it is shown, and what it means under each dynamics.

Every reader takes its columns from here: tables, CSV, JSON, clipboard, Markdown, figures, plots, help and manual. Each
field of :class:`icltui.values.Row`, :class:`icltui.values.Prediction` and :class:`icltui.values.LayerCheck` has its
entry. People read numbers in three digits; files have them whole. Where no unit is given, a number has none.

Symbols are those of :class:`icltui.values.Row`: A_i is the MLP's input after i units (*grow*) or with the first i taken
away (*shrink*); *drop* compares A, the full context's, with A_without, where one unit alone is missing. v and g, the
down projection's input, are indexed alike; u is what an update adds where it acts in full.
"""

from collections.abc import Callable
from dataclasses import dataclass

from icltui.text.escape import token_text
from icltui.text.spreadsheet import Cell
from icltui.values import Dynamics, Prediction

Meaning = tuple[str, str]
"""What a number is: in words, and as a formula."""

NOISE = "~"
"""Mark before a ‖δ‖ that rounding alone can make."""
CHANGED = "▸"
"""Mark before a next token that the previous unit did not predict."""
PEAK = "▲"
"""Mark of a number that stands out from the others."""
INDEX = ("unit", "layer")
"""The fields of a row that say which unit and which layer it is of."""
DELTA_NOISE = "delta_noise"
"""The field of the noise of ‖δ‖, which tables show by layer: its median over the units."""
MATRIX_NORMS = "matrix_norms"
"""The field of the ‖ΔW‖ of each matrix; in a CSV a column ``norm_…`` for each."""


@dataclass(frozen=True)
class MeasureSpec:
    """One number per unit and layer."""

    field: str
    """Field of :class:`icltui.values.Row`; also its column in JSON, CSV and clipboard."""
    symbol: str
    """At most nine cells wide."""
    log: bool
    """Whether a log scale makes sense: the number is never negative."""
    grow: Meaning
    shrink: Meaning | None = None
    """Meaning where it differs from *grow*; two empty texts where there is no such number."""
    drop: Meaning | None = None
    header: str = ""
    """Title of its column in a report; empty: the symbol."""
    short: str = ""
    """Title of a narrow column; empty: as of others."""
    width: int = 7
    """Cells of its column in the explorer's table."""

    def meaning(self, dynamics: Dynamics) -> Meaning:
        """The meaning of the number under ``dynamics``, in words and as a formula."""
        others = {"shrink": self.shrink, "drop": self.drop}
        return others.get(dynamics) or self.grow

    def is_defined(self, dynamics: Dynamics) -> bool:
        """Whether there is such a number at all."""
        return any(self.meaning(dynamics))


@dataclass(frozen=True)
class PredictionSpec:
    """One number that is known of the next token at a unit."""

    name: str
    """Its column in JSON, CSV and clipboard."""
    symbol: str
    words: str
    """What the number is."""
    value: Callable[[Prediction], float | None]
    header: str = ""
    """Title of its column in a report; empty: the symbol."""
    unit: str = ""
    width: int = 7
    """Cells of its column in the explorer's table."""


@dataclass(frozen=True)
class CheckSpec:
    """One number of the proof at a layer."""

    symbol: str
    """Title of its column in the explorer."""
    header: str = ""
    """Title of its column in a report; empty: the symbol."""
    width: int = 10
    """Cells of its column in the explorer."""


_NONE: Meaning = ("", "")
_DOWN = "the residual shift as a patch of the down projection"
_STEP = "half the square of what the step adds at its input"
_COSINE = "cosine of its update and the previous one"
_TRANSFER = "what the previous update leaves undone of this one; 0: nothing"

_ALL = (
    MeasureSpec(
        "delta_norm",
        "‖δ‖",
        True,
        ("how far this unit moved the MLP's input", "‖A_i − A_{i−1}‖"),
        ("how far its removal moved the MLP's input", "‖A_i − A_{i−1}‖"),
        ("how much it alone moves the MLP's input", "‖A − A_without‖"),
    ),
    MeasureSpec(
        "patch_norm",
        "‖ΔW‖",
        True,
        ("how far this unit moved the weights", "‖W_0 δ_i‖ / ‖A_0‖"),
        ("how far its removal moved the weights", "‖W_{i−1} δ_i‖ / ‖A_i‖"),
        ("the weight change equivalent to it", "‖W δ‖ / ‖A_without‖"),
    ),
    MeasureSpec(
        "relative_patch_norm",
        "‖ΔW‖/‖W‖",
        True,
        ("‖ΔW‖ as a share of the weights", "‖ΔW‖ / ‖W‖"),
        width=9,
    ),
    MeasureSpec(
        "cumulative_patch_norm",
        "Σ‖ΔW‖",
        True,
        ("the length of the path so far", "Σ_{j≤i} ‖W_j − W_{j−1}‖"),
        drop=_NONE,
        header="sum of ‖ΔW‖",
    ),
    MeasureSpec(
        "net_patch_norm",
        "net ‖ΔW‖",
        True,
        ("how far the weights are from the start", "‖W_i − W_0‖"),
        drop=_NONE,
        short="net",
    ),
    MeasureSpec(
        "learning_rate",
        "h",
        True,
        ("implicit learning rate, nearly flat under RMSNorm", "1/‖A_i‖²"),
        drop=("implicit learning rate, nearly flat under RMSNorm", "1/‖A_without‖²"),
    ),
    MeasureSpec(
        "shift_norm",
        "‖δv‖",
        True,
        ("how far this unit moved the residual stream", "‖v_i − v_{i−1}‖"),
        ("how far its removal moved the residual stream", "‖v_i − v_{i−1}‖"),
        ("how much it alone moves the residual stream", "‖v − v_without‖"),
    ),
    MeasureSpec(
        "z_norm",
        "‖z‖",
        True,
        ("size of the MLP's input after the units so far", "‖A_i‖"),
        ("size of the MLP's input after the units left", "‖A_i‖"),
        ("size of the MLP's input without this unit", "‖A_without‖"),
    ),
    MeasureSpec(
        "cosine_previous",
        "cos",
        False,
        ("whether it pushed the same way as the unit before", "cos(δ_i, δ_{i−1})"),
        header="cosine",
    ),
    MeasureSpec(
        "output_patch_norm",
        "‖ΔW_down‖",
        True,
        (_DOWN, "‖v_i − v_{i−1}‖ / ‖g_i‖"),
        (_DOWN, "‖v_i − v_{i−1}‖ / ‖g_0‖"),
        (_DOWN, "‖v − v_without‖ / ‖g‖"),
    ),
    MeasureSpec(
        "amplification",
        "amplify",
        True,
        ("how strongly W answers δ; 1: as a random direction", "(‖W_0 δ_i‖/‖δ_i‖) / (‖W_0‖/√d)"),
        ("how strongly W answers δ; 1: as a random direction", "(‖W_{i−1} δ_i‖/‖δ_i‖) / (‖W_0‖/√d)"),
        ("how strongly W answers δ; 1: as a random direction", "(‖W δ‖/‖δ‖) / (‖W‖/√d)"),
        header="amplified",
    ),
    MeasureSpec(
        "implicit_loss",
        "L",
        False,
        ("implicit loss; depends on where W is counted from", "−(p_i − p_{i−1})·p_{i−1}, p = W_0 A"),
        _NONE,
        _NONE,
    ),
    MeasureSpec(
        "half_step_square",
        "Q",
        True,
        ("half the square of the step in p = W_0 A", "½‖p_i − p_{i−1}‖² = ½‖W_0 δ_i‖²"),
        (_STEP, "½‖W_{i−1} δ_i‖²"),
        (_STEP, "½‖W δ‖²"),
    ),
    MeasureSpec(
        "update_cosine_previous",
        "cos ΔW",
        False,
        (f"{_COSINE}; u = W_0 δ", "cos(u_i, u_{i−1})"),
        (f"{_COSINE}; u_i = W_{{i−1}} δ_i", "cos(u_i, u_{i−1})·cos(A_i, A_{i−1})"),
        (f"{_COSINE}; u = W δ, z = A_without", "cos(u_i, u_{i−1})·cos(z_i, z_{i−1})"),
    ),
    MeasureSpec(
        "transfer_previous",
        "transfer",
        True,
        (_TRANSFER, "‖u_i − u_{i−1}‖ / ‖u_i‖"),
        (_TRANSFER, "‖u_i − u_{i−1} (A_{i−1}·A_i)/‖A_{i−1}‖²‖ / ‖u_i‖"),
        (_TRANSFER, "‖u_i − u_{i−1} (z_{i−1}·z_i)/‖z_{i−1}‖²‖ / ‖u_i‖"),
    ),
)

MEASURES: dict[str, MeasureSpec] = {measure.field: measure for measure in _ALL}
"""Every measure by its field, in the order in which a key cycles through them."""

NEXT_TOKEN = "next token"
"""Title of the column of the most probable next token, which is ``token`` in a file."""
PREDICTIONS: dict[str, PredictionSpec] = {
    spec.name: spec
    for spec in (
        PredictionSpec(
            "probability",
            "p",
            "probability of the most probable next token",
            lambda prediction: prediction.top[0].probability if prediction.top else None,
            width=5,
        ),
        PredictionSpec(
            "entropy",
            "entropy",
            "entropy of the next-token distribution",
            lambda prediction: prediction.entropy,
            unit="nats",
        ),
        PredictionSpec(
            "kl_to_full",
            "KL",
            "KL(full context ‖ this one)",
            lambda prediction: prediction.kl_to_full,
            header="KL to full",
            unit="nats",
        ),
    )
}
"""The numbers of a prediction by their columns, in the order in which a file has them."""

LAYER_CHECKS: dict[str, CheckSpec] = {
    "mlp_error": CheckSpec("MLP ΔW", "MLP error"),
    "identity_error": CheckSpec("identity"),
    "block_error": CheckSpec("block"),
    "cosine": CheckSpec("cosine"),
    "nmse": CheckSpec("NMSE"),
    "rank": CheckSpec("rank", width=7),
    "gradient_alignment": CheckSpec("align", "gradient alignment", width=9),
}
"""The numbers of the proof at a layer, by their fields of :class:`icltui.values.LayerCheck`, in the tables' order."""


def prediction_cells(prediction: Prediction | None) -> list[Cell]:
    """A cell for the token and each of :data:`PREDICTIONS`, its text made safe; None without a prediction."""
    if prediction is None:
        return [None] * (1 + len(PREDICTIONS))
    token = token_text(prediction.top[0].token.text) if prediction.top else None
    return [token, *(spec.value(prediction) for spec in PREDICTIONS.values())]


def prediction_meanings(dynamics: Dynamics) -> list[tuple[str, str]]:
    """Symbols of what is known of the next token, and what they mean."""
    probability, entropy, kl = (PREDICTIONS[name] for name in ("probability", "entropy", "kl_to_full"))
    other = "the full context's" if dynamics == "drop" else "the unit before's"
    gap = "" if dynamics == "grow" else "; none under local · keep where packed, as each would take a pass"
    words = "the likeliest after an ordinary run of what is left, also under local"
    return [
        (f"{NEXT_TOKEN} {probability.symbol}", f"{words}; {CHANGED} another than {other}{gap}"),
        (f"{kl.symbol}, {entropy.symbol}", f"of its distribution, in {kl.unit}: {kl.words}"),
    ]

"""What *measure* gives: what each unit of the context did at each layer."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from icltui.values.base import Candidate, PromptIds, Record, Table, Token
from icltui.values.bounds import LayerIndex, TokenCount
from icltui.values.frame import Columns, columns_of, in_nats
from icltui.values.model import Path

Dynamics = Literal["grow", "shrink", "drop"]
"""How the context's units come and go: arrive from the left, leave from the left, or leave one at a time."""
Reference = Literal["free", "local"]
"""What a missing unit means: it was never there; or only this layer's attention may not see it."""
Precision = Literal["model", "float32"]
"""What is computed in: the model's own numbers, or float32 with the same weights."""


class Unit(Record, frozen=True, omit_defaults=True):
    """A piece of the context; ``index`` counts from 1, as unit 0 is the empty context."""

    index: TokenCount
    """Number of the unit, from 1."""
    text: str
    """Text of the unit, as it is in the context."""
    tokens: TokenCount
    """How many tokens it has."""
    part_of: TokenCount = 0
    """Number of the larger unit that was opened into its tokens, this being one of them; 0: of none."""


def whole_number(units: Sequence[Unit], index: int) -> int:
    """The number that unit ``index`` (from 1) has, or the larger unit that it is part of, where none is opened."""
    number = 0
    for unit in units[:index]:
        number = unit.part_of or number + 1
    return number


class TokenizedPrompt(Record, frozen=True):
    """Exactly what goes into the model: ``prefix + context + query``, or without the context."""

    prefix: tuple[Token, ...]
    """Kept with the context and without it: BOS, or a chat template's header."""
    context: tuple[Token, ...]
    """The context; empty where there is none."""
    query: tuple[Token, ...]
    """The last one is the token at which everything is measured."""
    units: tuple[Unit, ...]
    """Units of the context, in order."""
    notes: tuple[str, ...] = ()
    """What the user should know, such as a token that straddles context and query."""

    @property
    def ids(self) -> PromptIds:
        """The prompt's ids without the texts."""
        parts = (tuple(token.id for token in part) for part in (self.prefix, self.context, self.query))
        prefix, context, query = parts
        return PromptIds(prefix=prefix, context=context, query=query)


class Row(Record, frozen=True, gc=False):
    """What unit ``unit`` did at layer ``layer``, seen at the query's last token.

    A_i is the MLP's input there: with the first i units (*grow*), without the first i (*shrink*, B_i in [1]), or
    without unit i alone (*drop*; A_0 is the full context, and each unit is compared with it, not with the unit before).
    """

    # There are thousands: the garbage collector must not walk them, which would stop the screen.

    unit: TokenCount
    """0 before any unit has come, gone or been left out."""
    layer: LayerIndex
    """Index of the layer, from 0."""
    z_norm: float | None
    """‖A_i‖."""
    learning_rate: float | None
    """h_i = 1/‖A_i‖²."""
    net_patch_norm: float | None
    """‖W_i − W_0‖ of all matrices that read z, stacked; None under *drop*."""
    delta_norm: float | None = None
    """‖A_i − A_{i−1}‖; None at unit 0."""
    delta_noise: float | None = None
    """What ‖δ‖ comes to by rounding alone in the model's half precision; None at unit 0, and in float32."""
    shift_norm: float | None = None
    """‖v_i − v_{i−1}‖ of the residual stream before the MLP; None at unit 0."""
    patch_norm: float | None = None
    """‖W_i − W_{i−1}‖; None at unit 0."""
    relative_patch_norm: float | None = None
    """``patch_norm`` / ‖W‖."""
    cumulative_patch_norm: float | None = None
    """Sum of ``patch_norm`` over the units up to this one; None under *drop*."""
    cosine_previous: float | None = None
    """cos(δ_i, δ_{i−1}), δ_i = A_i − A_{i−1}; None before unit 2."""
    output_patch_norm: float | None = None
    """‖v_i − v_{i−1}‖ / ‖g_C‖: the shift as a patch of the down projection; None where there is no single one.

    g_C, its input with the unit: g_i under *grow*; under *shrink* and *drop* the full context's.
    """
    amplification: float | None = None
    """(‖W δ_i‖/‖δ_i‖) / (‖W‖/√d): 1 is what a random direction gets."""
    implicit_loss: float | None = None
    """tr(Δᵀ W) = −dp_i·p_{i−1}, of the weights before the step; depends on their origin: see ``half_step_square``."""
    half_step_square: float | None = None
    """Q_i = ½‖dp_i‖², dp_i = u: what the step adds at the input where it acts; p_i − p_{i−1} under *grow*."""
    update_cosine_previous: float | None = None
    """Cosine of this unit's rank-1 update and the one before; None before unit 2."""
    transfer_previous: float | None = None
    """What the update before leaves undone of this one, ‖u_i − u_{i−1} (k_{i−1}·k_i)/‖k_{i−1}‖²‖ / ‖u_i‖; 0: nothing.

    u = W δ and k the input at which the step acts: a under *grow*, A_i else.
    """
    matrix_norms: dict[str, float | None] = msgspec.field(default_factory=dict)
    """``patch_norm`` matrix by matrix: c_fc; gate, up; router; the experts that the full context's token goes to."""

    @property
    def is_noise(self) -> bool:
        """Whether ‖δ‖ is no more than what rounding alone comes to."""
        return (
            self.delta_norm is not None
            and self.delta_noise is not None
            and self.delta_norm <= self.delta_noise
        )


class Prediction(Record, frozen=True):
    """The next-token distribution after the query, of an ordinary run on what the dynamics leaves at ``unit``."""

    unit: TokenCount
    """0 before any unit has come, gone or been left out."""
    top: tuple[Candidate, ...]
    """Most probable first; at least one."""
    entropy: float | None
    """Entropy in nats."""
    kl_to_full: float | None
    """KL(full context ‖ this one); None where the full context has not run yet."""


_UNKNOWN = Prediction(unit=0, top=(), entropy=None, kl_to_full=None)
"""Of a unit whose next token was not asked for."""


class Pairs(Table, frozen=True):
    """Every unit's rank-1 update against every other's, at one layer; row s, column t, both from unit 1."""

    layer: LayerIndex
    """Index of the layer, from 0."""
    cosine: tuple[tuple[float | None, ...], ...]
    """cos(u_s, u_t)·cos(z_s, z_t), u = W δ."""
    transfer: tuple[tuple[float | None, ...], ...]
    """What the patch of t leaves undone at s, ‖u_s − u_t (z_t·z_s)/‖z_t‖²‖ / ‖u_s‖; 0: t's patch serves s too."""

    def columns(self) -> Columns:
        """One row for each pair: the unit s, the other t, both from 1."""
        n = range(1, len(self.cosine) + 1)
        pairs = [(s, t) for s in n for t in n]
        return {
            "layer": (int, [self.layer] * len(pairs)),
            "unit": (int, [s for s, _ in pairs]),
            "other": (int, [t for _, t in pairs]),
            "cosine": (float, [value for line in self.cosine for value in line]),
            "transfer": (float, [value for line in self.transfer for value in line]),
        }


class Measurement(Table, frozen=True):
    """Every number of one run of *measure*."""

    tokens: TokenizedPrompt
    layers: tuple[LayerIndex, ...]
    """The measured layers, ascending."""
    rows: tuple[Row, ...]
    """One row for each unit and layer, unit by unit."""
    predictions: tuple[Prediction, ...]
    """One prediction for each unit; none where each would have cost a pass."""
    path: Path
    seconds: float
    """Duration of the passes."""
    dynamics: Dynamics = "grow"
    reference: Reference = "free"
    precision: Precision = "model"
    pairs: tuple[Pairs, ...] = ()
    """One for each layer where units were compared with each other, else empty."""

    UNITS = in_nats("entropy", "kl_to_full")

    def columns(self) -> Columns:
        """One row for each unit and layer, as in the CSV: every number, ``norm_…`` of each matrix, the unit's text, the
        most probable next token and what is known of it. Unit 0 has no text."""
        matrices = list(dict.fromkeys(name for row in self.rows for name in row.matrix_norms))
        norms: Columns = {
            f"norm_{name}": (float, [row.matrix_norms.get(name) for row in self.rows]) for name in matrices
        }
        texts = (None, *(unit.text for unit in self.tokens.units))
        found = {prediction.unit: prediction for prediction in self.predictions}
        known = [found.get(row.unit, _UNKNOWN) for row in self.rows]
        first = [prediction.top[0] if prediction.top else None for prediction in known]
        return {
            **columns_of(self.rows, Row, ("matrix_norms",)),
            **norms,
            "text": (str, [texts[row.unit] for row in self.rows]),
            "token": (str, [None if token is None else token.token.text for token in first]),
            "probability": (float, [None if token is None else token.probability for token in first]),
            "entropy": (float, [prediction.entropy for prediction in known]),
            "kl_to_full": (float, [prediction.kl_to_full for prediction in known]),
        }

"""Values that leave the engine: frozen, torch-free, and at once the wire format and the session format.

Norms are Euclidean or Frobenius; probabilities are in [0, 1]; entropies and divergences in nats. A number
that is undefined or not finite is ``None``. Symbols refer to the papers named in ``icltui.engine``.
"""

from typing import Literal

import msgspec

Lane = Literal["context", "plain", "patched"]
"""With the context; the query alone; the query alone through patched weights."""
LANES: tuple[Lane, ...] = ("context", "plain", "patched")
Path = Literal["packed", "loop"]
"""How the prefixes were measured: all in one packed pass, or one forward pass each."""
Mode = Literal["per-step", "frozen"]
"""A new patch for every token, or the patch of the query's last token held while generating."""
Components = Literal["both", "weights", "shift"]
"""Which parts of the patch act: ΔW and Δb, ΔW alone, Δb alone."""
Dynamics = Literal["grow", "shrink", "drop"]
"""How the context's units come and go: arrive from the left, leave from the left, or leave one at a time."""
Reference = Literal["free", "local"]
"""What a missing unit means: it was never there; or only this layer's attention may not see it."""

Quantize = Literal["none", "8bit", "4bit"]
"""Whether the weights are squeezed while they load, by bitsandbytes."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every value here."""


class RefusedLayer(Record, frozen=True):
    """A layer on which the patch is not exact, so that its numbers would be wrong."""

    layer: int
    reason: str


class ModelInfo(Record, frozen=True):
    """The loaded model, as a session remembers it."""

    name: str
    """Hugging Face id, folder, or ``demo`` for the embedded model."""
    revision: str | None
    fingerprint: str
    """Hash of the weights: equal fingerprints mean equal numbers on equal versions."""
    architecture: str
    """The class of the Hugging Face model."""
    n_layers: int
    hidden_size: int
    n_parameters: int
    dtype: str
    device: str
    window: int | None
    """Longest sequence in tokens that the model's positions allow."""
    path: Path
    versions: dict[str, str]
    """Of icltui, torch, transformers."""
    path_reason: str = ""
    """Why the prefixes are measured one by one; empty where they are packed."""
    refused: tuple[RefusedLayer, ...] = ()
    sites: dict[str, str] = {}
    """Places given by hand, without which other numbers would come out."""
    quantize: Quantize = "none"


class Estimate(Record, frozen=True):
    """What a model will take, known before it is loaded; sizes in bytes."""

    n_parameters: int
    weight_bytes: int
    measure_bytes: int
    """What a measure adds: the cache of a context as long as the positions allow (at most 4,096), and one chunk."""
    available_bytes: int
    """Free where the model is to go."""


class Token(Record, frozen=True):
    """One token: its id, and its text for display (whole tokens need not be whole characters)."""

    id: int
    text: str


class Unit(Record, frozen=True):
    """A piece of the context; ``index`` counts from 1, as unit 0 is the empty context."""

    index: int
    text: str
    tokens: int


class TokenizedPrompt(Record, frozen=True):
    """Exactly what goes into the model: ``prefix + context + query``, or without the context."""

    prefix: tuple[Token, ...]
    """Kept in both runs: BOS and the like."""
    context: tuple[Token, ...]
    query: tuple[Token, ...]
    units: tuple[Unit, ...]
    notes: tuple[str, ...] = ()
    """What the user should know, such as a token that straddles context and query."""


class Row(Record, frozen=True):
    """What unit ``unit`` did at layer ``layer``, seen at the query's last token.

    A_i is the MLP's input there: with the first i units (*grow*), without the first i (*shrink*, B_i in [1]), or
    without unit i alone (*drop*; A_0 is the full context, and each unit is compared with it, not with the unit before).
    """

    unit: int
    layer: int
    z_norm: float | None
    """‖A_i‖."""
    learning_rate: float | None
    """h_i = 1/‖A_i‖²."""
    net_patch_norm: float | None
    """‖W_i − W_0‖ of all matrices that read z, stacked; None under *drop*."""
    delta_norm: float | None = None
    """‖A_i − A_{i−1}‖; None at unit 0."""
    shift_norm: float | None = None
    """The same difference of the residual stream, ‖v_i − v_{i−1}‖; None at unit 0."""
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
    matrix_norms: dict[str, float | None] = {}
    """``patch_norm`` matrix by matrix: c_fc; gate, up; router; the experts that the full context's token goes to."""


class Candidate(Record, frozen=True):
    """A possible next token."""

    token: Token
    probability: float


class Prediction(Record, frozen=True):
    """The next-token distribution behind the query, of an ordinary run on what the dynamics leaves at ``unit``."""

    unit: int
    top: tuple[Candidate, ...]
    """Most probable first; at least one."""
    entropy: float | None
    kl_to_full: float | None
    """KL(full context ‖ this one); None where the full context has not run yet."""


class Pairs(Record, frozen=True):
    """Every unit's rank-1 update against every other's, at one layer; row s, column t, both from unit 1."""

    layer: int
    cosine: tuple[tuple[float | None, ...], ...]
    """cos(u_s, u_t)·cos(z_s, z_t), u = W δ."""
    transfer: tuple[tuple[float | None, ...], ...]
    """What the patch of t leaves undone at s, ‖u_s − u_t (z_t·z_s)/‖z_t‖²‖ / ‖u_s‖; 0: t's patch serves s too."""


class Measurement(Record, frozen=True):
    """Every number of one run of *measure*."""

    tokens: TokenizedPrompt
    layers: tuple[int, ...]
    rows: tuple[Row, ...]
    predictions: tuple[Prediction, ...]
    path: Path
    seconds: float
    dynamics: Dynamics = "grow"
    reference: Reference = "free"
    pairs: tuple[Pairs, ...] = ()


class LaneStep(Record, frozen=True):
    """One generated token and the distribution that it was taken from."""

    lane: Lane
    index: int
    token: Token
    text: str
    """The whole lane so far."""
    top: tuple[Candidate, ...]
    kl_to_context: float | None
    """KL(context lane ‖ this lane) while both lanes hold the same tokens; then None."""


class LaneText(Record, frozen=True):
    """One lane, ended."""

    text: str
    token_ids: tuple[int, ...]
    steps: tuple[LaneStep, ...]


class Agreement(Record, frozen=True):
    """A lane's tokens against the context lane's."""

    equal: int
    """Tokens equal at their place."""
    total: int
    first_difference: int | None
    """Index of the first token that differs; None if all are equal."""


class LogitError(Record, frozen=True):
    """Last-token logits against the contextual ones."""

    mse: float | None
    kl: float | None
    linf: float | None
    top1_equal: bool


class Generation(Record, frozen=True):
    """The lanes of one run of *generate*."""

    lanes: dict[Lane, LaneText]
    agreement: dict[Lane, Agreement]
    """Of ``plain`` and, where it ran, ``patched``."""
    fit: dict[Lane, LogitError]
    """Logits behind the query's last token, before anything was generated."""
    mode: Mode
    components: Components
    layers: tuple[int, ...]


class LayerCheck(Record, frozen=True):
    """Exactness at one layer; every value is relative to the contextual one and ideally 0 (cosine: 1)."""

    layer: int
    identity_error: float | None
    """‖(W+ΔW)z − W z_C‖ / ‖W z_C‖."""
    block_error: float | None
    """‖O_patched − O_context‖ / ‖O_context‖ of the block's output."""
    cosine: float | None
    nmse: float | None
    """Mean squared error over mean square."""
    mlp_error: float | None = None
    """Relative error of the MLP's output under ΔW alone."""
    rank: int | None = None
    """Significant singular values of ΔW as the patch acts; 1 in theory, 0 where the context changes nothing."""
    gradient_alignment: float | None = None
    """−cos(W δz, ∂ℓ/∂(Wz)), ℓ the cross-entropy against the contextual distribution; 1: ΔW is a gradient step."""


class Verification(Record, frozen=True):
    """Proof on the loaded model, with controls and the noise floor beside it."""

    layers: tuple[LayerCheck, ...]
    logits: dict[str, LogitError]
    """``plain``, ``weights`` (ΔW alone), ``shift`` (Δb alone), ``patched`` (both)."""
    controls: dict[str, LogitError]
    """``random``: a patch of equal norms; ``shuffled``: the patch of the shuffled context."""
    noise_floor: float
    """L∞ of two contextual runs through kernels of different length."""
    undone: bool
    """Whether the logits after removing the patch are bit for bit those before it."""
    tolerance: float
    """What ``identity_error``, ``block_error`` and the relative patched logit error must stay under."""
    ok: bool
    note: str
    """Which of these lines is a tautology and which is not."""


class ZooRow(Record, frozen=True):
    """What the proof says of a tiny random model of one family; errors are relative, the worst of all layers.

    None where there is no such number: the family cannot be explored, or not in that dtype.
    """

    family: str
    """The name that Transformers gives the type, with the variant behind it where it has one."""
    model_class: str
    n_layers: int = 0
    """0 where it cannot be explored at all."""
    n_exact: int = 0
    """Layers on which both errors in float32 are rounding."""
    n_refused: int = 0
    """Layers that are refused, with the reason among the notes."""
    mlp_error: float | None = None
    """Of the MLP's output under ΔW alone, in float32."""
    mlp_error_bfloat16: float | None = None
    block_error: float | None = None
    """Of the block's output under ΔW and the shift, in float32."""
    block_error_bfloat16: float | None = None
    logit_error: float | None = None
    """L∞ of the logits behind all usable layers patched, over the largest one, in float32."""
    undone: bool | None = None
    """Whether the logits after the patch are bit for bit those before it."""
    path: Path | None = None
    notes: tuple[str, ...] = ()
    """Why layers, or the whole family, are refused, and why the prefixes are not packed."""

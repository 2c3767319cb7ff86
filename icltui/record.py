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


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every value here."""


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
    """What unit ``unit`` did at layer ``layer``, seen at the query's last token; see maths of *grow*, [1] Prop. 3.1."""

    unit: int
    layer: int
    z_norm: float | None
    """‖A_i‖: the MLP's input with the first i units in the context."""
    learning_rate: float | None
    """h_i = 1/‖A_i‖²."""
    net_patch_norm: float | None
    """‖W_i − W_0‖ of all matrices that read z, stacked."""
    delta_norm: float | None = None
    """‖A_i − A_{i−1}‖; None at unit 0."""
    shift_norm: float | None = None
    """The same difference of the residual stream, ‖v_i − v_{i−1}‖; None at unit 0."""
    patch_norm: float | None = None
    """‖W_i − W_{i−1}‖; None at unit 0."""
    relative_patch_norm: float | None = None
    """``patch_norm`` / ‖W‖."""
    cumulative_patch_norm: float | None = None
    """Sum of ``patch_norm`` over the units up to this one."""
    cosine_previous: float | None = None
    """cos(A_i − A_{i−1}, A_{i−1} − A_{i−2}); None before unit 2."""


class Candidate(Record, frozen=True):
    """A possible next token."""

    token: Token
    probability: float


class Prediction(Record, frozen=True):
    """The next-token distribution behind the query, with the first ``unit`` units as its context."""

    unit: int
    top: tuple[Candidate, ...]
    """Most probable first; at least one."""
    entropy: float | None
    kl_to_full: float | None
    """KL(full context ‖ this one)."""


class Measurement(Record, frozen=True):
    """Every number of one run of *measure*."""

    tokens: TokenizedPrompt
    layers: tuple[int, ...]
    rows: tuple[Row, ...]
    predictions: tuple[Prediction, ...]
    path: Path
    seconds: float


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

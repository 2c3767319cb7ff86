"""What *verify* gives: proof on the loaded model."""

from msgspec import field

from icltui.values.base import LogitError, PromptIds, Record, Table, Token
from icltui.values.bounds import LayerIndex, Seed, TokenCount
from icltui.values.frame import Columns, columns_of


class ErrorLimits(Record, frozen=True):
    """What one error is held to, in the error's own unit: a share of the norm of the contextual value."""

    floor: float | None
    """What rounding makes of it in right runs through kernels of other lengths; 0: they are equal to the bit."""
    allowed: float | None
    """The most that it may be: twice the floor, or twice the arithmetic's own rounding where that is more, and at most
    the tolerance."""
    effect: float | None
    """What it is without the patch."""


class LayerCheck(Record, frozen=True):
    """Exactness at one layer; every value is relative to the contextual one and ideally 0 (cosine: 1)."""

    layer: LayerIndex
    """Index of the layer, from 0."""
    identity_error: float | None
    """‖(W+ΔW)z − W z_C‖ / ‖W z_C‖."""
    block_error: float | None
    """‖O_patched − O_context‖ / ‖O_context‖ of the block's output."""
    cosine: float | None
    """Of the block's outputs, patched and contextual."""
    nmse: float | None
    """Mean squared error over mean square."""
    mlp_error: float | None = None
    """Relative error of the MLP's output under ΔW alone."""
    rank: TokenCount | None = None
    """Significant singular values of ΔW as the patch acts; 1 in theory, 0 where the context changes nothing."""
    gradient_alignment: float | None = None
    """−cos(W δz, ∂ℓ/∂(Wz)), ℓ the cross-entropy against the contextual distribution; 1: ΔW is a gradient step."""
    limits: dict[str, ErrorLimits] = field(default_factory=dict)
    """Of ``mlp``, ``identity`` and ``block``: what each error is held to. Empty in older records."""


class Verification(Table, frozen=True):
    """Proof on the loaded model, with controls and the noise floor beside it."""

    layers: tuple[LayerCheck, ...]
    """One for each patched layer, ascending."""
    logits: dict[str, LogitError]
    """``plain``, ``weights`` (ΔW alone), ``shift`` (Δb alone), ``patched`` (both)."""
    controls: dict[str, LogitError]
    """``random``: a patch of equal norms; ``shuffled``: the patch of the shuffled context."""
    noise_floor: float
    """L∞ of contextual runs through kernels of different length, in logits: the median of several."""
    undone: bool
    """Whether the logits after removing the patch are bit for bit those before it."""
    tolerance: float
    """The most that any ``allowed`` is."""
    ok: bool
    """Whether each layer's errors are within what is allowed, its rank 0 or 1, and the patch undone; where the last
    layer is patched, ``patched_share`` within ``allowed``; and the context does more than what is allowed."""
    note: str
    """Which of these lines is a tautology and which is not."""
    seed: Seed = 0
    """Seed of the controls."""
    logit_scale: float | None = None
    """The largest contextual logit, by magnitude; the next three are shares of it. None in older records."""
    patched_share: float | None = None
    """L∞ of the patched logits."""
    noise_share: float | None = None
    """``noise_floor``."""
    allowed: float | None = None
    """The most that ``patched_share`` may be: twice ``noise_share``, or twice the arithmetic's own rounding where that
    is more, and at most ``tolerance``."""
    caveat: str = ""
    """Why ``ok`` is False, or what it does not show where it is True."""
    ids: PromptIds | None = None
    """What the prompt was for the model; None in older files."""
    kept_prefix: tuple[Token, ...] = ()
    """The tokens kept before the text in both runs."""

    def columns(self) -> Columns:
        """One row for each patched layer."""
        return columns_of(self.layers, LayerCheck, ("limits",))

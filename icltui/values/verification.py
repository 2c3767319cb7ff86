"""What *verify* gives: proof on the loaded model."""

from icltui.values.base import LogitError, PromptIds, Record
from icltui.values.bounds import LayerIndex, Seed, TokenCount


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


class Verification(Record, frozen=True):
    """Proof on the loaded model, with controls and the noise floor beside it."""

    layers: tuple[LayerCheck, ...]
    """One for each patched layer, ascending."""
    logits: dict[str, LogitError]
    """``plain``, ``weights`` (ΔW alone), ``shift`` (Δb alone), ``patched`` (both)."""
    controls: dict[str, LogitError]
    """``random``: a patch of equal norms; ``shuffled``: the patch of the shuffled context."""
    noise_floor: float
    """L∞ of two contextual runs through kernels of different length, in logits."""
    undone: bool
    """Whether the logits after removing the patch are bit for bit those before it."""
    tolerance: float
    """What ``identity_error``, ``block_error`` and ``mlp_error`` must stay under, and see ``allowed``."""
    ok: bool
    """Whether each layer's errors are within the tolerance, its rank 0 or 1, and the patch undone; where the last layer
    is patched, ``patched_share`` within ``allowed``, and noise does not hide what the context does."""
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
    """The most that ``patched_share`` may be: ``tolerance``, or twice ``noise_share`` where that is more."""
    caveat: str = ""
    """Why ``ok`` is False, or to within what it is True where that is more than the tolerance."""
    ids: PromptIds | None = None
    """What the prompt was for the model; None in older files."""

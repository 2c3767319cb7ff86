"""What one prompt's trial gives: its logits with the context, without it, and through each of several patches.

Torch-free. A trial asks only about the query's last token, and about a given answer's tokens after it, so that many
prompts of one shape run as a batch.
"""

from typing import Literal

from icltui.values.base import Record
from icltui.values.bounds import LayerIndex, Seed, TokenCount, TokenId
from icltui.values.recipe import Components

TrialMode = Literal["per-step", "frozen"]
"""Every token of query and answer has a patch of its own; that of the query's last token is held for all tokens."""
TrialControl = Literal["none", "random", "shuffled"]
TrialRule = Literal["theorem", "unembedding"]
"""Where ΔW comes from: ΔW = (W δz) zᵀ/‖z‖²; the heuristic of a published demonstration, see
:mod:`icltui.engine.trial.row_heuristic`."""


class TrialPatch(Record, frozen=True):
    """One patch that is put to the trial; its shift is an output patch wherever the layer has one."""

    mode: TrialMode = "per-step"
    """Whether each token has a patch of its own, or all have the query's last one's."""
    components: Components = "both"
    alpha: float | Literal["search"] = 1.0
    """Strength, 0 to 2; search: the one of least centred squared error at the query's last token, of each prompt."""
    layers: tuple[LayerIndex, ...] | None = None
    """The patched layers; None: all that can be."""
    control: TrialControl = "none"
    """What takes the place of the context's own patch."""
    seed: Seed = 0
    """Seed of the control, to which each prompt adds its own."""
    rule: TrialRule = "theorem"
    """``unembedding`` has no components, no mode and no control: a frozen change of one matrix, of either sign."""


class TrialScore(Record, frozen=True):
    """Logits of one run against the contextual ones; each number is None where it is not finite."""

    mse: float | None
    """Mean squared error over the vocabulary, at the query's last token, as are the next four."""
    centred_mse: float | None
    """Of the logits less their mean, which a softmax does not depend on."""
    kl: float | None
    """KL(contextual ‖ these) in nats."""
    linf: float | None
    """Largest absolute difference."""
    top1_equal: bool
    """Whether both have the same most probable token."""
    top: TokenId
    """The most probable token."""
    top_probability: float | None
    """Probability of the most probable next token."""
    entropy: float | None
    """Of the next token's distribution, in nats."""
    alpha: float | None = None
    """The patch's strength on this prompt; None without a patch."""
    answer_log_p: float | None = None
    """Log-probability of the answer's tokens together, in nats; None without an answer."""
    answer_is_top: bool | None = None
    """Whether each of the answer's tokens is the most probable one."""
    later_centred_mse: float | None = None
    """Mean of ``centred_mse`` after each of the answer's tokens but the last; None with fewer than two of them."""
    later_kl: float | None = None
    """Mean KL there, in nats."""
    curve: tuple[tuple[float, float | None, float | None], ...] = ()
    """Of a searched strength: each α of the coarse grid, which is alike for all prompts, with its centred squared
    error and its KL; ascending."""


class TrialLayer(Record, frozen=True):
    """The context's change at one layer: at the query's last token, against a run without the context and a patch."""

    layer: LayerIndex
    """Index of the layer, from 0."""
    delta_norm: float | None
    """‖δz‖ = ‖z_C − z‖."""
    shift_norm: float | None
    """‖δ‖ = ‖v_C − v‖."""
    z_norm: float | None
    """‖z‖ without the context."""
    learning_rate: float | None
    """h = 1/‖z‖²."""
    patch_norm: float | None
    """‖ΔW‖ = ‖W δz‖ / ‖z‖."""
    relative_patch_norm: float | None
    """‖ΔW‖ / ‖W‖."""
    context_learning_rate: float | None = None
    """1/‖z_C‖², which *measure* gives after the context's last unit."""


class TrialResult(Record, frozen=True):
    """One prompt's numbers."""

    index: TokenCount
    """The prompt's place among those given."""
    n_context: TokenCount
    """Tokens of the context, as of the next three."""
    n_query: TokenCount
    """Tokens of the query."""
    n_prefix: TokenCount = 0
    """Tokens kept before the text in all runs."""
    n_answer: TokenCount = 0
    """Tokens of the answer."""
    context: TrialScore | None = None
    """The run with the context, against itself; None where the prompt failed, as ``plain`` is."""
    plain: TrialScore | None = None
    """Without the context and without a patch."""
    patches: tuple[TrialScore, ...] = ()
    """In the order of the patches asked for."""
    layers: tuple[TrialLayer, ...] = ()
    """All layers that can be patched, ascending."""
    noise_floor: float | None = None
    """L∞ between right runs with the context through kernels of other lengths, in logits: the median of several; None
    where it was not asked for."""
    logit_scale: float | None = None
    """The largest contextual logit, by magnitude."""
    error: str | None = None
    """Why there are no numbers, in one line."""

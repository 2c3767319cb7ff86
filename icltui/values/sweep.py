"""What a sweep leaves of one prompt, one model and one recipe: a flat row; and what a folder of rows says of itself.

Symbols and sources as in ``icltui.engine``. Logits, probabilities and divergences are those after the query's last
token; a divergence is KL(with context ‖ other) in nats. None where there is no such number.
"""

from msgspec import field

from icltui.values.base import Record
from icltui.values.bounds import Count, LayerIndex, Seed, TokenCount
from icltui.values.recipe import Components, Mode
from icltui.values.results import ResultRow


class SweepPrompt(Record, frozen=True):
    """One prompt of PROMPTS."""

    number: Count
    """Its number there, from 1."""
    context: str = ""
    """Text before the query."""
    query: str = ""
    """What the model continues."""
    answer: str = ""
    """What should follow the query; empty: not known."""
    tags: tuple[str, ...] = ()
    """Words to group prompts by."""


class SweepRow(ResultRow, frozen=True):
    """One row; a row that failed says what was asked, and its ``error``."""

    # The model.
    model: str = ""
    """Its name, as it was asked for."""
    revision: str = ""
    """Branch, tag or commit; empty: the repository's default."""
    fingerprint: str = ""
    """Hash of the weights."""
    dtype: str = ""
    """What is computed in."""
    version: str = ""
    """Version of icltui."""
    # The prompt.
    prompt: Count = 0
    """Number of the prompt in PROMPTS, from 1."""
    digest: str = ""
    """Hash of context, query and answer: equal prompts have equal ones."""
    context: str = ""
    """Text before the query."""
    query: str = ""
    """What the model continues."""
    answer: str = ""
    """What should follow the query; empty: not known."""
    tags: tuple[str, ...] = ()
    """Words of PROMPTS to group its prompts by."""
    n_prefix: TokenCount | None = None
    """Tokens kept before the text in all runs."""
    n_context: TokenCount | None = None
    """Tokens of the context."""
    n_query: TokenCount | None = None
    """Tokens of the query."""
    n_answer: TokenCount | None = None
    """Tokens of the answer."""
    # The recipe.
    layers: str = ""
    """The layers that were asked for: ``all``, ``last`` or a list."""
    mode: Mode = "per-step"
    components: Components = "both"
    alpha_asked: str = "1"
    """Strength that was asked for: a number, ``search`` or ``jvp``."""
    alpha: float | None = None
    """Strength of the patch."""
    seed: Seed = 0
    """Seed of the controls, and of the text's sampling."""
    # What the context does to the weights, at the query's last token.
    layers_used: tuple[LayerIndex, ...] = ()
    """The patched layers, ascending; the tuples below have one number for each."""
    delta_norms: tuple[float | None, ...] = ()
    """‖δz‖ = ‖z_C − z‖ of each layer, as *measure* has it."""
    shift_norms: tuple[float | None, ...] = ()
    """‖δ‖ = ‖v_C − v‖ of each layer."""
    patch_norms: tuple[float | None, ...] = ()
    """‖ΔW‖ of each layer, all matrices that read z together."""
    relative_patch_norms: tuple[float | None, ...] = ()
    """‖ΔW‖ / ‖W‖ of each layer."""
    learning_rates: tuple[float | None, ...] = ()
    """1/‖z_C‖² of each layer, as *measure* has it after the context's last unit."""
    delta_norm: float | None = None
    """√Σ‖δz‖² over the layers."""
    shift_norm: float | None = None
    """√Σ‖δ‖² over the layers."""
    relative_patch_norm: float | None = None
    """√Σ‖ΔW‖² / √Σ‖W‖² over the layers."""
    # What is said.
    next_context: str | None = None
    """Text of the most probable next token with the context."""
    next_plain: str | None = None
    """The same for the query alone."""
    next_patched: str | None = None
    """The same for the query alone through patched weights."""
    top1_plain: bool | None = None
    """Whether the query alone has the context's most probable token."""
    top1_patched: bool | None = None
    """Whether the patched run has it."""
    answer_context: float | None = None
    """Log-probability of the whole answer, summed over its tokens, with the context."""
    answer_plain: float | None = None
    """The same for the query alone."""
    answer_patched: float | None = None
    """The same through patched weights."""
    # How near the patch comes to the context, with controls beside it.
    kl_plain: float | None = None
    """Divergence of the query alone: what there is to be won."""
    kl_weights: float | None = None
    """Divergence of the patch with ΔW alone."""
    kl_shift: float | None = None
    """Divergence of the patch with Δb alone."""
    kl_patched: float | None = None
    """Divergence of the patch as asked for."""
    kl_random: float | None = None
    """Divergence of random directions of equal norms in place of the patch."""
    kl_shuffled: float | None = None
    """Divergence of the patch of the shuffled context."""
    mse_plain: float | None = None
    """Mean squared error of the logits, each vector's mean taken off, of the query alone."""
    mse_patched: float | None = None
    """The same through patched weights."""
    noise_floor: float | None = None
    """Largest difference of logits between contextual runs through kernels of different length."""
    # Text.
    text_context: str = ""
    """What is generated with the context; empty where no text was asked for."""
    text_plain: str = ""
    """The same for the query alone."""
    text_patched: str = ""
    """The same through patched weights."""
    n_equal_plain: TokenCount | None = None
    """Generated tokens that are the context's at the same index, of the query alone."""
    n_equal_patched: TokenCount | None = None
    """The same through patched weights."""
    seconds: float | None = None
    """Time that the row took: its share of its batch."""


class RowsFolder(Record, frozen=True):
    """What a folder of rows holds, as its ``experiment.json`` says: rows of one kind, version and question alone."""

    kind: str
    """``sweep``, or the study's name."""
    version: str
    """Version of icltui that made it."""
    columns: tuple[str, ...]
    """Names of the rows' fields."""
    asked: dict[str, object] = field(default_factory=dict)
    """What was asked, in plain JSON."""

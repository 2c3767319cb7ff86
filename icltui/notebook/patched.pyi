# Made from the table of options by python -m tests.docs.reference.

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from icltui.notebook.held_patch_report import HeldPatchReport
from icltui.values import ExportReport, LayerFit
from icltui.values.recipe import Recipe

def patched(
    model: object,
    tokenizer: object,
    context: str = "",
    query: str = "",
    *,
    mode: Literal["frozen", "compiled"] = "frozen",
    components: Literal["both", "weights", "shift"] = "both",
    carrier: Literal["output", "bias"] = "output",
    alpha: float | Literal["search", "jvp"] = 1.0,
    layer_alphas: str = "",
    n_fitted: int = 8,
    rank: int | None = None,
    ridge: float = 0.0,
    cross_fit: bool = False,
    metric: Literal["plain", "ordinary"] = "plain",
    epsilon: float = 0.01,
    background: str = "",
    queries: Sequence[str] = (),
    holdout: Sequence[str] = (),
    control: Literal["none", "random", "shuffled", "other"] = "none",
    other_context: str = "",
    seed: int = 0,
    bos: Literal["auto", "always", "never"] | None = None,
    chat: bool = False,
    layers: str = "all",
    session: object = None,
    adapter: str | Path | None = None,
    sites: Mapping[str, str] | None = None,
) -> PatchedModel:
    """A context's patch for a model in memory: it acts as with the context inside ``with patched(…):``.

    The model's own calls, its ``generate``, pipelines, batches, caches and gradients go through the patch; no weight is
    touched, and after the block nothing of the patch is left.

    Args:
        model: a model of transformers in memory
        tokenizer: the model's tokenizer
        context (str, default ''): the context
        query (str, default ''): the query after it
        mode ('frozen' | 'compiled', default 'frozen'): a new patch per token; the query's last token's,
            held; or one for many tokens at once, held
        components ('both' | 'weights' | 'shift', default 'both'): ΔW and Δb, or one alone
        carrier ('output' | 'bias', default 'output'): held: the shift as a patch of the down
            projection, or as a constant, which ends in repetition (with mode frozen or compiled and a
            shift)
        alpha (float | 'search' | 'jvp', default 1.0): strength, 0 to 2; search: by line search; jvp: in
            closed form to first order
        layer_alphas (str, default ''): strengths of single layers, which the strength of all
            multiplies, such as 3=0.5,7=0 (default: each 1)
        n_fitted (int, default 8): compiled: tokens of the contextual continuation to fit, besides the
            query's own (with mode compiled and something to solve)
        rank (int | None, default None): compiled: cut the patch to this rank by SVD (with mode compiled
            and something to solve)
        ridge (float, default 0.0): compiled: penalty, as a share of the mean square (default 0: exact)
            (with mode compiled and something to solve)
        cross_fit (bool, default False): compiled on queries: fit each a second time, as it is through
            the patch that is made without it (with mode compiled and two or more queries)
        metric ('plain' | 'ordinary', default 'plain'): held: the patch that is least in its norm, or in
            its effect on ordinary text (with mode frozen or compiled and something to solve)
        epsilon (float, default 0.01): ordinary: how far the metric is from ordinary text alone, as a
            share of the mean square (with mode frozen or compiled, something to solve and metric
            ordinary)
        background (str, default ''): ordinary: a text file of what is ordinary (default: the model's
            own, else one that comes with the program) (with mode frozen or compiled, something to solve
            and metric ordinary)
        queries (Sequence[str], default ()): compiled: fit on these queries, not on query (with mode
            compiled and something to solve)
        holdout (Sequence[str], default ()): other queries after the same context
        control ('none' | 'random' | 'shuffled' | 'other', default 'none'): instead of the context's
            patch: a random one of equal norms, the shuffled or another context's
        other_context (str, default ''): for control other (with control other)
        seed (int, default 0): of sampling, one noise for all lanes, and of the controls
        bos ('auto' | 'always' | 'never' | None, default None): tokens before the text, kept in both
            runs (default None: what the tokenizer writes itself, as in your own calls; auto: where that
            is nothing, one that takes an attention sink)
        chat (bool, default False): context and query as one user turn of the tokenizer's chat template,
            its header kept in both runs
        layers (str, default 'all'): all, last, or a list such as 0,3,5-8
        session (object, default None): in place of the texts: its prompt and its recipe, which other
            options change
        adapter (str | Path | None, default None): in place of the texts: the folder of an adapter that
            icltui wrote, which is made again from its texts
        sites (Mapping[str, str] | None, default None): modules that are not found automatically, such
            as {'mlp': 'model.layers.{layer}.mlp'}

    Raises:
        BadInput: options that no patch can be made by, a model that is compiled or that a patch acts in, or other
            weights than those of the session or the adapter.
        ModelError: a model that no proof accepts.
    """

class PatchedModel:
    """A patch and the model that it is for. It acts inside a ``with`` block, which may be entered again and again."""

    def __enter__(self) -> PatchedModel: ...
    def __exit__(self, *_: object) -> None: ...
    @property
    def is_acting(self) -> bool:
        """Whether the model goes through the patch at the moment."""

    @property
    def recipe(self) -> Recipe:
        """How the patch was made; its ``alpha`` may be a way in which the strength was found."""

    @property
    def fit(self) -> tuple[LayerFit, ...]:
        """How the patch fits its own tokens, layer by layer."""

    @property
    def layers(self) -> tuple[int, ...]:
        """The patched layers, ascending."""

    @property
    def rank(self) -> int:
        """The largest rank of its maps."""

    @property
    def inputs(self) -> dict[str, Any]:
        """The query's tokens after those that are kept, where the patch is exact: ``model(**patch.inputs)``."""

    @property
    def inputs_with_context(self) -> dict[str, Any]:
        """The same with the context before the query: what the model says to them without the patch, it says to
        :attr:`inputs` with it.
        """

    @property
    def alpha(self) -> float:
        """The strength, 0 to 2, that the patch acts with; it may be set while it acts. At 0 nothing is added."""

    @alpha.setter
    def alpha(self, value: float) -> None: ...
    @property
    def noise(self) -> float:
        """What rounding makes of right runs with the context: L∞ in logits, which no exact patch need be below."""

    def report(self) -> HeldPatchReport:
        """The fit, what the patch does on other tokens, and its logits beside a random and a shuffled patch's."""

    def save(self, path: str | Path) -> ExportReport:
        """Write the patch at its present strength as a LoRA adapter for PEFT into a new folder, and read it back.

        Raises:
            BadInput: the folder exists or cannot be written, or the patch has no form as an adapter.
            ModelError: PEFT is missing.
            EngineError: what is read back is not the patch; nothing is left at ``path``.
        """

"""What *compile* gives: a context as one patch, how it was chosen, and what it does on queries that it has not seen.

Of a query the tokens that count are its last one and the fitted number of tokens of its continuation in the context.
R = 1 − KL(context ‖ patched) / KL(context ‖ no patch), both summed over these tokens: 1 as with the context, 0 as
without it, below 0 worse than no patch. Where the context changes nothing, R is None and the query counts in no mean.
"""

from typing import Literal

from icltui.values.base import PromptIds, Record, Table
from icltui.values.bounds import Count, LayerIndex, TokenCount
from icltui.values.frame import Columns, columns_of, in_nats
from icltui.values.recipe import Components, Recipe, Weighing

Calibrate = Literal["user", "repeat", "self"]
"""Where the calibration queries come from: a file; the context in pieces; the model's own, written in the context."""
CompiledFormat = Literal["none", "peft", "gguf-lora"]
"""What is written: nothing, a LoRA adapter for PEFT, or one for llama.cpp."""
QueryRole = Literal["unseen", "calibration"]


class PatchChoice(Record, frozen=True):
    """How the patch is made."""

    metric: Weighing
    """What the patch is least in."""
    epsilon: float
    """Of the ordinary metric: the share of the mean diagonal that is added to it."""
    ridge: float
    """ρ as a share of the mean diagonal of the fitted tokens' Gram matrix."""
    layers: tuple[LayerIndex, ...]
    """The patched layers, ascending."""
    components: Components
    alpha: float
    """The strength."""
    rank: TokenCount
    """The largest rank of the patch's parts."""
    pinned: tuple[str, ...] = ()
    """What was given and not chosen: names of a recipe's fields, or ``layers``."""


class CalibrationSummary(Record, frozen=True):
    """The queries that the patch was made from."""

    kind: Calibrate
    n_queries: Count
    """How many they are."""
    n_tokens: Count
    """How many tokens are fitted: those of the queries and of their continuations."""
    queries: tuple[str, ...] = ()
    """Their texts."""


class Unseen(Record, frozen=True):
    """The patch on queries that it was not made from."""

    n_queries: Count
    """Queries at which the context changes something."""
    n_tokens: Count
    """How many of their tokens count."""
    kl: float | None
    """Mean KL(context ‖ patched) per token, in nats."""
    kl_plain: float | None
    """``kl`` without a patch."""
    r_median: float | None
    """R of the query in the middle."""
    r_mean: float | None
    """Mean R of the queries, which few may rule."""
    equal: Count
    """At how many tokens the most probable next one is the contextual one."""
    equal_plain: Count
    """``equal`` without a patch."""
    n_agreeing: Count = 0
    """At how many queries the answer's first token is the contextual one."""
    n_agreeing_plain: Count = 0
    """``n_agreeing`` without a patch."""
    n_unchanged: Count = 0
    """Queries at which the context changes nothing: left out of all the others."""


class CollateralSummary(Record, frozen=True):
    """What the patch does to unrelated text, where it should do nothing."""

    kl: float | None
    """Mean KL(model ‖ patched model) per token, in nats."""
    n_tokens: Count
    """How many tokens the mean is over."""
    predicted: float | None = None
    """``kl`` of second order in the patch, ½ tr(ΔW C ΔWᵀ) in the metric of the logits' Fisher information."""


class ChoicePoint(Record, frozen=True):
    """One way to make the patch that was tried, and its error on each query when that is left out."""

    step: str
    """What is varied, such as ``epsilon``."""
    metric: Weighing
    """What the patch is least in."""
    epsilon: float
    """Of the ordinary metric: the share of the mean diagonal that is added to it."""
    ridge: float
    """ρ as a share of the mean diagonal of the fitted tokens' Gram matrix."""
    layers: tuple[LayerIndex, ...]
    """The patched layers, ascending."""
    components: Components
    alpha: float
    """The strength."""
    r_median: float | None
    """Leave-one-query-out R of the query in the middle; None where the context changes nothing."""
    rank: TokenCount | None = None
    """The rank that the patch is cut to; None: it is not."""
    cross_fit: bool = False
    """Whether each query is fitted a second time, as it is through the patch made without it."""
    kl: float | None = None
    """Leave-one-query-out KL(context ‖ patched) per token, in nats."""
    collateral: float | None = None
    """Mean KL per token of unrelated text, in nats."""
    seconds: float = 0.0
    """What trying it took."""
    chosen: bool = False
    """Whether the step ended with this one."""


class LeaveOneOut(Record, frozen=True):
    """The chosen patch on each calibration query when that is left out."""

    r_median: float | None
    """R of the query in the middle."""
    n_queries: Count = 0
    """How many were left out, one at a time."""
    kl: float | None = None
    """Mean KL(context ‖ patched) per token, in nats."""
    kl_plain: float | None = None
    """``kl`` without a patch."""
    n_harmed: Count = 0
    """Queries at which the patch is worse than none."""
    curve: tuple[ChoicePoint, ...] = ()
    """Every point that was tried, in order."""
    standard_error: float | None = None
    """Of ``r_median``, from the median absolute deviation of the queries' R."""
    n_refits: Count = 0
    """On how many queries the closed form was held against a patch made without them."""
    refit_difference: float | None = None
    """The largest difference of R between both; None where none was made."""


class CompiledQuery(Record, frozen=True):
    """One query, answered three ways."""

    query: str
    """Its text."""
    role: QueryRole
    """Whether the patch was made from it."""
    context: str
    """The most probable continuation with the context."""
    patched: str
    """The same through the patch, without the context."""
    plain: str
    """The same without either."""
    n_tokens: Count
    """How many of its tokens count."""
    kl: float | None
    """Mean KL(context ‖ patched) per token, in nats."""
    kl_plain: float | None
    """``kl`` without a patch."""
    r: float | None
    """R; None where the context changes nothing."""
    equal: Count
    """At how many of the tokens the most probable next one is the contextual one."""
    equal_plain: Count
    """``equal`` without a patch."""
    agrees: bool
    """Whether the answer's first token is the contextual one."""
    agrees_plain: bool
    """``agrees`` without a patch."""


class Compilation(Table, frozen=True):
    """A context as one patch, or the reason why there is none."""

    refused: str | None
    """Why the patch would harm, and the way out; None where it would not."""
    chosen: PatchChoice
    calibration: CalibrationSummary
    unseen: Unseen | None
    """None where no held-out queries were given."""
    collateral: CollateralSummary | None
    leave_one_out: LeaveOneOut
    seconds: float
    """Duration of the whole job, the model's loading aside."""
    recipe: Recipe
    """What gives the same patch again on the same model."""
    query: str
    """The prompt's own query, or the one that serves in its place."""
    sentence: str
    """What the patch does, in one sentence."""
    forced: bool = False
    """Whether it was made although it is refused."""
    files: tuple[str, ...] = ()
    """Paths of the written files; none where it is refused or none was wanted."""
    queries: tuple[CompiledQuery, ...] = ()
    """The unseen queries, then those of the calibration."""
    left_out: tuple[str, ...] = ()
    """What the adapter cannot carry, in sentences."""
    notes: tuple[str, ...] = ()
    """What the user should know, in sentences."""
    ids: PromptIds | None = None
    """What the prompt was for the model."""

    UNITS = in_nats("kl", "kl_plain")

    def columns(self) -> Columns:
        """One row for each query, the unseen ones first."""
        return columns_of(self.queries, CompiledQuery)

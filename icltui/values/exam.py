"""Every way from a context to weights, put to one test: what *exam* gives.

R of a query is 1 − KL(context ‖ patched) / KL(context ‖ no patch), both summed over its scored tokens: the next-token
distributions after the query's last token and after each of the first tokens of its contextual continuation. A query
on which the context changes nothing has no R.
"""

from collections.abc import Sequence
from typing import Literal, get_args

from icltui.values.base import Record, Table
from icltui.values.bounds import Count, LayerIndex, Seed, Size, TokenCount
from icltui.values.errors import BadInput
from icltui.values.frame import Columns, columns_of, in_nats

ExamPatch = Literal[
    "per-step",
    "plain",
    "ordinary",
    "frozen",
    "mean-shift",
    "shift-alone",
    "random",
    "distilled",
    "joined",
]
"""The way a patch is made; each is one row."""
EXAM_PATCHES: tuple[ExamPatch, ...] = get_args(ExamPatch)
EXAM_TITLES: dict[ExamPatch, str] = {
    "per-step": "per step (the bound)",
    "plain": "compiled, plain",
    "ordinary": "compiled, ordinary",
    "frozen": "frozen",
    "mean-shift": "mean δ (task vector)",
    "shift-alone": "Δb alone",
    "random": "random, equal norm",
    "distilled": "distilled (gradient)",
    "joined": "joined with another",
}
USUAL_ROWS: tuple[ExamPatch, ...] = EXAM_PATCHES[:7]
"""The rows of an exam that names none: those that take neither gradient steps nor a second context."""

AnswersFrom = Literal["context", "file", "both"]
"""What is right: what the model says with the context; the answers of a file; the file's where it has one."""


class ExamQuery(Record, frozen=True):
    """One unseen query, and what the model says to it with the context and without it, unpatched."""

    query: str
    """The text that follows the context."""
    answer: str | None
    """The true answer; None where the contextual one counts as right."""
    n_tokens: TokenCount
    """Scored tokens."""
    kl_plain: float | None
    """KL(context ‖ no patch) in nats, summed over the scored tokens: what there is to be won."""
    context: str
    """The greedy answer with the context."""
    plain: str
    """The greedy answer without the context."""
    right_context: bool
    """Whether the answer with the context is right; always, where it is what counts as right."""
    right_plain: bool
    """Whether the answer without the context is right."""
    prior_margin: float | None
    """The strength of the prior: log p₀(own answer) − log p₀(context's answer) in nats, p₀ without the context."""


class ExamAnswer(Record, frozen=True):
    """One query through one patch; in the order of the exam's queries."""

    kl: float | None
    """KL(context ‖ patched) in nats, summed over the scored tokens."""
    r: float | None
    """1 − ``kl`` / ``kl_plain``; None where the context changes nothing."""
    text: str
    """The greedy answer through the patch."""
    right: bool
    """Whether that is right."""


class PriorGroup(Record, frozen=True):
    """Queries of alike prior strength, from the weakest group to the strongest; deciles where there are enough."""

    lowest: float
    """The smallest prior margin of the group, in nats."""
    highest: float
    """The largest prior margin of the group, in nats."""
    n_queries: Count
    """Queries in the group."""
    r_median: float | None
    """Median R of the group; None where the context changes nothing."""
    right: Count
    """Queries of the group that the patched model answers right."""


class RankPoint(Record, frozen=True):
    """The same patch cut to a lower rank."""

    rank: TokenCount
    """The rank that every map is cut to."""
    r_median: float | None
    """Median R over the unseen queries."""


class ScoresOnOther(Record, frozen=True):
    """One patch on the unseen queries of the other context, against that context."""

    r_median: float | None
    """Median R over the other context's unseen queries, their KL towards the other context."""
    r_low: float | None
    """Lower end of the bootstrap interval of ``r_median``."""
    r_high: float | None
    """Upper end of the bootstrap interval of ``r_median``."""
    n_queries: Count
    """Queries with an R."""
    right: Count
    """Right answers through the patch."""
    r_alone: float | None = None
    """``r_median`` of the patch that is compiled on the other context alone."""
    interference: float | None = None
    """``r_alone`` − ``r_median``: what the other context loses by sharing the patch."""


class ExamRow(Record, frozen=True):
    """One patch on the unseen queries and on unrelated text."""

    patch: ExamPatch
    """The way that it was made."""
    reason: str = ""
    """Why there is no such patch, in one line; empty where there is one."""
    made: str = ""
    """How it was made, in words."""
    r_median: float | None = None
    """Median R over the unseen queries."""
    r_low: float | None = None
    """Lower end of the 95 % bootstrap interval of ``r_median``."""
    r_high: float | None = None
    """Upper end of the 95 % bootstrap interval of ``r_median``."""
    r_mean: float | None = None
    """Mean R; a few queries rule it."""
    n_queries: Count = 0
    """Unseen queries with an R."""
    n_tokens: Count = 0
    """Scored tokens of all unseen queries."""
    right: Count = 0
    """Unseen queries that the patched model answers right."""
    right_context: Count = 0
    """Unseen queries that the model answers right with the context."""
    right_plain: Count = 0
    """Unseen queries that the model answers right without context and patch."""
    right_of_context: Count = 0
    """Unseen queries answered right both with the context and through the patch."""
    collateral_kl: float | None = None
    """Mean KL(model ‖ patched model) a token of unrelated text, in nats; None for a patch that is not held."""
    collateral_predicted: float | None = None
    """The same of second order, ½ tr(ΔW C ΔWᵀ) in the logits' Fisher metric: 100 times the KL at a tenth of α."""
    seconds: float = 0.0
    """Time to make the patch, with reading the calibration queries; without testing it."""
    floats: Size | None = None
    """Numbers that the patch stores; None for a patch that is not held."""
    bytes: Size | None = None
    """Their size in float32."""
    rank: TokenCount | None = None
    """The largest rank of its maps; None for a patch that is not held."""
    rank_90: TokenCount | None = None
    """The least rank tried that keeps 90 % of ``r_median``; None where no cut was tried, or there is no R to keep."""
    ranks: tuple[RankPoint, ...] = ()
    """R of the patch cut to lower ranks, ascending."""
    by_prior: tuple[PriorGroup, ...] = ()
    """Success by the strength of the model's prior."""
    interference: float | None = None
    """R lost on this context's own queries by sharing the patch with another context."""
    other: ScoresOnOther | None = None
    """The patch on the other context's queries; None where no other context was examined."""
    queries: tuple[ExamAnswer, ...] = ()
    """One for each of the exam's queries."""


class Exam(Table, frozen=True):
    """The patches of one context, each by the same test."""

    rows: tuple[ExamRow, ...]
    """In the order in which they were asked for."""
    queries: tuple[ExamQuery, ...]
    """The unseen queries."""
    calibration: tuple[str, ...]
    """The queries that the patches are made from."""
    answers_from: AnswersFrom = "context"
    """Whose answers count as right."""
    n_fitted: TokenCount = 0
    """Tokens of each contextual continuation that are fitted and, with the one after the query, scored."""
    n_without_effect: Count = 0
    """Unseen queries on which the context changes nothing: they have no R."""
    layers: tuple[LayerIndex, ...] = ()
    """The patched layers, ascending."""
    other_context: str = ""
    """The other context; empty where there is none."""
    other_queries: tuple[str, ...] = ()
    """The other context's unseen queries."""
    collateral_tokens: Count = 0
    """Tokens of unrelated text that ``collateral_kl`` is a mean over."""
    seed: Seed = 0
    """Seed of the resamples that the intervals come from."""
    n_resamples: Count = 0
    """Resamples of the unseen queries."""
    notes: tuple[str, ...] = ()
    """What the user should know, in sentences."""
    seconds: float = 0.0
    """Duration of the whole exam."""

    UNITS = in_nats("collateral_kl", "collateral_predicted")

    def columns(self) -> Columns:
        """One row for each patch, as in the CSV."""
        return columns_of(self.rows, ExamRow, ("ranks", "by_prior", "other", "queries"))


LEAST_UNSEEN, MOST_UNSEEN = 2, 1000
"""Unseen queries of one exam: fewer say nothing, and each is held in memory with its states."""


def unseen_queries(
    calibration: Sequence[str], holdout: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The held-out queries that no patch is made from, each once, and a note on those that were left out.

    Raises:
        BadInput: no calibration query, or too few or too many unseen ones.
    """
    if not calibration:
        raise BadInput(
            "no calibration query to make a patch from: give --queries FILE, one query on each line"
        )
    fitted = set(calibration)
    unseen = tuple(dict.fromkeys(query for query in holdout if query not in fitted))
    n_left_out = len(holdout) - len(unseen)
    if len(unseen) < LEAST_UNSEEN:
        why = f" ({n_left_out} of them fitted, or given twice)" if n_left_out else ""
        raise BadInput(
            f"{len(holdout)} held-out queries{why} leave {len(unseen)} unseen, where {LEAST_UNSEEN} are needed: "
            "give --holdout FILE, with a query on each line that is not among the calibration's"
        )
    if len(unseen) > MOST_UNSEEN:
        raise BadInput(f"{len(unseen):,} unseen queries: at most {MOST_UNSEEN:,} are examined at once")
    if not n_left_out:
        return unseen, ()
    were = "query was" if n_left_out == 1 else "queries were"
    return unseen, (f"{n_left_out} held-out {were} left out: fitted, or given twice",)
